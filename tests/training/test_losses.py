"""The grammar of `--loss`, and that no loss forgets an unknown label."""

import pytest
import torch

from cxrlt_cli.config.train import TrainConfig
from cxrlt_cli.errors import UserError
from cxrlt_cli.training.losses import DEFAULTS, Counts, make_loss, parse_loss
from cxrlt_cli.tricks.asymmetric import asymmetric
from cxrlt_cli.tricks.bce import bce
from cxrlt_cli.tricks.masked_mean import masked_mean

COUNTS = Counts(torch.tensor([60, 20, 3]), torch.tensor([100, 100, 80]), torch.tensor([1.0, 1.0, 3.0], dtype=torch.float64))
LOGITS = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
TARGETS = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [0, 0, 0], [1, 0, 1]])
KNOWN = torch.ones(6, 3, dtype=torch.bool)
KNOWN[2, 2] = KNOWN[4, 0] = False


def test_the_base_is_the_masked_mean_of_cross_entropy() -> None:
    base = make_loss(TrainConfig(), COUNTS)(LOGITS, TARGETS, KNOWN, 0.0)
    assert base == masked_mean(bce(LOGITS, TARGETS), KNOWN, COUNTS.weights.float())


def test_a_balance_weighs_positives_and_negatives_by_prevalence() -> None:
    found = make_loss(TrainConfig(loss="asl", balance="prevalence"), COUNTS)(LOGITS, TARGETS, KNOWN, 0.0)
    share = torch.tensor([0.6, 0.2, 3 / 80])
    weights = torch.where(TARGETS == 1, torch.exp(1 - share), torch.exp(share))
    assert torch.isclose(
        found, masked_mean(asymmetric(LOGITS, TARGETS, 4.0, 1.0, 0.05) * weights, KNOWN, COUNTS.weights.float())
    )
    with pytest.raises(UserError, match="two-way has no loss of a single label"):
        TrainConfig(loss="two-way:4", balance="prevalence")


@pytest.mark.parametrize("text", [*DEFAULTS, "focal:1", "asl:6/0/0.05", "ldam:0.3/10", "db:5", "two-way:1"])
@pytest.mark.parametrize("more", [{}, {"label_smoothing": 0.1, "logit_adjustment": 1.0}])
def test_an_unknown_label_changes_neither_loss_nor_gradient(text: str, more: dict[str, float]) -> None:
    if text.startswith(("asl", "ldam")):
        more = {name: value for name, value in more.items() if name != "label_smoothing"}
    loss = make_loss(TrainConfig(loss=text, **more), COUNTS)
    values = []
    for unknown in (0.0, 1.0):
        logits = LOGITS.clone().requires_grad_()
        targets = TARGETS.where(KNOWN, torch.tensor(unknown))
        value = loss(logits, targets, KNOWN, 1.0)
        value.backward()
        assert torch.isfinite(logits.grad).all()
        assert (logits.grad[~KNOWN] == 0).all()
        values.append(value.item())
    assert values[0] == values[1]
    assert values[0] > 0


@pytest.mark.parametrize("text", DEFAULTS)
def test_every_loss_is_lower_for_a_better_ranking(text: str) -> None:
    loss = make_loss(TrainConfig(loss=text), COUNTS)
    right, wrong = (loss(sign * (4 * TARGETS - 2), TARGETS, KNOWN, 1.0) for sign in (1, -1))
    assert right < wrong / 2


def test_class_weights_wait_for_their_share_of_the_training() -> None:
    plain = Counts(COUNTS.positives, COUNTS.known, torch.ones(3, dtype=torch.float64))
    loss, unweighted = (make_loss(TrainConfig(reweight_from=0.8), counts) for counts in (COUNTS, plain))
    assert loss(LOGITS, TARGETS, KNOWN, 0.79) == unweighted(LOGITS, TARGETS, KNOWN, 0.79)
    assert loss(LOGITS, TARGETS, KNOWN, 0.8) > unweighted(LOGITS, TARGETS, KNOWN, 0.8)


@pytest.mark.parametrize(
    "text", ["", "focal:x", "focal:1/2", "asl:4", "asl:4/1/1", "ldam:0/30", "db:-1", "foccal", "two-way:inf"]
)
def test_what_is_no_loss_names_the_grammar(text: str) -> None:
    with pytest.raises(UserError, match="--loss") as caught:
        parse_loss(text)
    assert "asl[:G-/G+/CLIP]" in caught.value.hint
