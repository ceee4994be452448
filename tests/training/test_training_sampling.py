"""How often each image of an epoch is drawn."""

import numpy as np
import pytest

from cxrlt_cli.data.batches import epoch_draws
from cxrlt_cli.errors import UserError
from cxrlt_cli.training.sampling import sampling_weights

TARGETS = np.array([[1, 0]] * 90 + [[0, 1]] * 10, dtype=np.uint8)


def test_without_sampling_every_image_is_drawn_once() -> None:
    assert sampling_weights("none", TARGETS) is None
    drawn = np.concatenate(epoch_draws(100, 10, seed=1, epoch=2))
    assert sorted(drawn) == list(range(100))


@pytest.mark.parametrize(("rule", "rare"), [("class-balanced", 50), ("square-root", 25), ("repeat-factor:0.4", 18.2)])
def test_rare_classes_are_drawn_more_often(rule: str, rare: float) -> None:
    """Of 100 draws: half of each class; in the ratio 3 : 1; 90 : 10 x 2, as sqrt(0.4 / 0.1) = 2."""
    weights = sampling_weights(rule, TARGETS)
    counts = []
    for epoch in range(20):
        drawn = np.concatenate(epoch_draws(100, 10, 0, epoch, weights))
        assert len(set(drawn)) == len(drawn) == 100, "a draw stands once in an epoch"
        counts.append(int((drawn % 100 >= 90).sum()))
    assert abs(np.mean(counts) - rare) < 1


def test_draws_are_a_function_of_seed_and_epoch() -> None:
    weights = sampling_weights("class-balanced", TARGETS)
    one, again, other = (np.concatenate(epoch_draws(100, 10, 0, epoch, weights)) for epoch in (3, 3, 4))
    assert (one == again).all()
    assert (one != other).any()


@pytest.mark.parametrize("text", ["repeat-factor:0", "repeat-factor:x", "class-balanced:2", "balanced"])
def test_what_is_no_rule_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="--sampling"):
        sampling_weights(text, TARGETS)
