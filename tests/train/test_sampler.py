"""How often each image of an epoch is drawn."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cxrlt_cli.artifacts.dataset import Dataset, DatasetHeader
from cxrlt_cli.config.train import TrainConfig
from cxrlt_cli.config.train_grammar import parse_sampling
from cxrlt_cli.data.batches import epoch_draws
from cxrlt_cli.errors import UserError
from cxrlt_cli.options import select
from cxrlt_cli.train.sampler import drawing_weights, sampling_weights
from cxrlt_cli.train.settings import SamplingSettings

TARGETS = np.array([[1, 0]] * 90 + [[0, 1]] * 10, dtype=np.uint8)


def test_without_sampling_every_image_is_drawn_once() -> None:
    assert sampling_weights(parse_sampling("none"), TARGETS) is None
    drawn = np.concatenate(epoch_draws(100, 10, seed=1, epoch=2))
    assert sorted(drawn) == list(range(100))


@pytest.mark.parametrize(("rule", "rare"), [("class-balanced", 50), ("square-root", 25), ("repeat-factor:0.4", 18.2)])
def test_rare_classes_are_drawn_more_often(rule: str, rare: float) -> None:
    """Of 100 draws: half of each class; in the ratio 3 : 1; 90 : 10 x 2, as sqrt(0.4 / 0.1) = 2."""
    weights = sampling_weights(parse_sampling(rule), TARGETS)
    counts = []
    for epoch in range(20):
        drawn = np.concatenate(epoch_draws(100, 10, 0, epoch, weights))
        assert len(set(drawn)) == len(drawn) == 100, "a draw stands once in an epoch"
        counts.append(int((drawn % 100 >= 90).sum()))
    assert abs(np.mean(counts) - rare) < 1


def _of_two_sources(tmp_path: Path) -> Dataset:
    table = pd.DataFrame({"source": ["a"] * 60 + ["b"] * 40})
    return Dataset(table, ["X", "Y"], TARGETS, TARGETS < 2, {}, DatasetHeader(), tmp_path)


def test_a_source_is_drawn_as_often_as_it_weighs(tmp_path: Path) -> None:
    """60 images of weight 1 and 40 of weight 3 share 100 draws as 60 : 120."""
    train = _of_two_sources(tmp_path)
    assert drawing_weights(select(SamplingSettings, TrainConfig()), train) is None
    weights = drawing_weights(select(SamplingSettings, TrainConfig(source_weight=("b=3",))), train)
    assert abs(np.mean([(np.concatenate(epoch_draws(100, 10, 0, e, weights)) % 100 >= 60).sum() for e in range(20)]) - 66.7) < 1
    alone = drawing_weights(select(SamplingSettings, TrainConfig(source_weight=("a=0",))), train)
    assert (np.concatenate(epoch_draws(100, 10, 0, 0, alone)) % 100 >= 60).all()
    both = drawing_weights(select(SamplingSettings, TrainConfig(source_weight=("b=3",), sampling="class-balanced")), train)
    assert np.allclose(both, sampling_weights(parse_sampling("class-balanced"), TARGETS) * np.where(np.arange(100) < 60, 1, 3))


@pytest.mark.parametrize(("given", "says"), [(("c=2",), "no training image is"), (("a=0", "b=0"), "leaves no image")])
def test_source_weights_that_do_not_fit_the_images_are_refused(given: tuple[str, ...], says: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=says):
        drawing_weights(select(SamplingSettings, TrainConfig(source_weight=given)), _of_two_sources(tmp_path))


def test_draws_are_a_function_of_seed_and_epoch() -> None:
    weights = sampling_weights(parse_sampling("class-balanced"), TARGETS)
    one, again, other = (np.concatenate(epoch_draws(100, 10, 0, epoch, weights)) for epoch in (3, 3, 4))
    assert (one == again).all()
    assert (one != other).any()
