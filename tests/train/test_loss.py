"""What the losses are, and that none forgets an unknown label."""

import math
from typing import Any

import pytest
import torch

from cxrlt_cli.config.train import TrainConfig
from cxrlt_cli.config.train_grammar import LOSSES
from cxrlt_cli.errors import UserError
from cxrlt_cli.options import select
from cxrlt_cli.train.loss import Counts, make_loss
from cxrlt_cli.train.settings import LossSettings
from cxrlt_cli.tricks.asymmetric import asymmetric
from cxrlt_cli.tricks.bce import bce
from cxrlt_cli.tricks.distribution_balanced import negative_tolerant
from cxrlt_cli.tricks.masked_mean import masked_mean

COUNTS = Counts(torch.tensor([60, 20, 3]), torch.tensor([100, 100, 80]), torch.tensor([1.0, 1.0, 3.0], dtype=torch.float64))
LOGITS = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
TARGETS = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [0, 0, 0], [1, 0, 1]])
KNOWN = torch.ones(6, 3, dtype=torch.bool)
KNOWN[2, 2] = KNOWN[4, 0] = False


def _settings(**options: Any) -> LossSettings:
    return select(LossSettings, TrainConfig(**options))


def test_the_base_is_the_masked_mean_of_cross_entropy() -> None:
    base = make_loss(_settings(), COUNTS)(LOGITS, TARGETS, KNOWN, 0.0)
    assert base == masked_mean(bce(LOGITS, TARGETS), KNOWN, COUNTS.weights.float())


def test_a_balance_weighs_positives_and_negatives_by_prevalence() -> None:
    found = make_loss(_settings(loss="asl", balance="prevalence"), COUNTS)(LOGITS, TARGETS, KNOWN, 0.0)
    share = torch.tensor([0.6, 0.2, 3 / 80])
    weights = torch.where(TARGETS == 1, torch.exp(1 - share), torch.exp(share))
    assert torch.isclose(
        found, masked_mean(asymmetric(LOGITS, TARGETS, 4.0, 1.0, 0.05) * weights, KNOWN, COUNTS.weights.float())
    )
    with pytest.raises(UserError, match="two-way has no loss of a single label"):
        TrainConfig(loss="two-way:4", balance="prevalence")


@pytest.mark.parametrize("text", [*LOSSES, "focal:1", "asl:6/0/0.05", "ldam:0.3/10", "db:5", "two-way:1"])
@pytest.mark.parametrize("more", [{}, {"label_smoothing": 0.1, "logit_adjustment": 1.0}])
def test_an_unknown_label_changes_neither_loss_nor_gradient(text: str, more: dict[str, float]) -> None:
    if text.startswith(("asl", "ldam")):
        more = {name: value for name, value in more.items() if name != "label_smoothing"}
    loss = make_loss(_settings(loss=text, **more), COUNTS)
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


@pytest.mark.parametrize("text", LOSSES)
def test_every_loss_is_lower_for_a_better_ranking(text: str) -> None:
    loss = make_loss(_settings(loss=text), COUNTS)
    right, wrong = (loss(sign * (4 * TARGETS - 2), TARGETS, KNOWN, 1.0) for sign in (1, -1))
    assert right < wrong / 2


def test_class_weights_wait_for_their_share_of_the_training() -> None:
    plain = Counts(COUNTS.positives, COUNTS.labelled)
    loss, unweighted = (make_loss(_settings(reweight_from=0.8), counts) for counts in (COUNTS, plain))
    assert loss(LOGITS, TARGETS, KNOWN, 0.79) == unweighted(LOGITS, TARGETS, KNOWN, 0.79)
    assert loss(LOGITS, TARGETS, KNOWN, 0.8) > unweighted(LOGITS, TARGETS, KNOWN, 0.8)


def test_weights_go_by_the_labels_and_not_by_smoothed_targets() -> None:
    """An image of the most frequent class alone has r = 1 for it: a weight of 0.1 + sigmoid(8), whatever the smoothing."""
    positives = torch.tensor([6000, 2000, 500, 100, 20, 5])
    counts = Counts(positives, torch.full((6,), 10_000))
    logits, targets = torch.zeros(1, 6), torch.tensor([[1.0, 0, 0, 0, 0, 0]])
    label_mask = torch.tensor([[True, False, False, False, False, False]])
    amount = 0.1
    found = make_loss(_settings(loss="db", label_smoothing=amount), counts)(logits, targets, label_mask, 0.0)
    prior = positives / 10_000
    element = negative_tolerant(logits, torch.full((1, 6), 1 - amount / 2), prior)[0, 0]
    assert (found / element).item() == pytest.approx(1.0997, abs=1e-4)
    found = make_loss(_settings(balance="prevalence", label_smoothing=amount), counts)(logits, targets, label_mask, 0.0)
    plain = make_loss(_settings(label_smoothing=amount), counts)(logits, targets, label_mask, 0.0)
    assert (found / plain).item() == pytest.approx(math.exp(1 - 0.6), rel=1e-5)


EDGES = ["focal:0", "focal:1", "focal:1.5", "focal:20", "asl:0/0/0", "asl:1/1/0", "asl:1.5/1/0.05", "asl:4/1/1e-9",
         "asl:4/0/0.99", "ldam:1000/1000", "ldam:0.001/0.001", "db:0.001", "db:1000", "two-way:0.001",
         "two-way:1000"]  # fmt: skip


MORE: list[dict[str, Any]] = [{}, {"label_smoothing": 0.1}, {"balance": "prevalence"}, {"logit_adjustment": 2.0}]
TOGETHER = [
    (text, more)
    for text in (*LOSSES, *EDGES)
    for more in MORE
    if not ("label_smoothing" in more and text.startswith(("asl", "ldam"))) and not ("balance" in more and "two-way" in text)
]


@pytest.mark.parametrize(("text", "more"), TOGETHER)
@pytest.mark.parametrize("size", [20.0, 40.0, 60.0, 80.0])
def test_losses_and_gradients_are_finite_at_large_logits(text: str, size: float, more: dict[str, Any]) -> None:
    loss = make_loss(_settings(loss=text, **more), COUNTS)
    for targets in (TARGETS, torch.zeros(6, 3), torch.ones(6, 3), 0.3 * TARGETS + 0.1):
        for signs in (torch.ones(6, 3), -torch.ones(6, 3), 1 - 2 * TARGETS, 2 * TARGETS - 1):
            logits = (size * signs).requires_grad_()
            value = loss(logits, targets, KNOWN, 1.0)
            value.backward()
            assert torch.isfinite(value)
            assert logits.grad is not None
            assert torch.isfinite(logits.grad).all(), (targets, signs)
