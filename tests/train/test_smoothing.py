"""Where label smoothing puts the minimum of each loss, and which pairs of flags are refused for it."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from cxrlt_cli.config.train import TrainConfig
from cxrlt_cli.config.train_grammar import LOSSES
from cxrlt_cli.errors import UserError
from cxrlt_cli.tricks.asymmetric import asymmetric
from cxrlt_cli.tricks.bce import bce
from cxrlt_cli.tricks.focal import focal
from cxrlt_cli.tricks.label_smoothing import smoothed
from cxrlt_cli.tricks.ldam import ldam

LOGITS = torch.linspace(-12, 12, 24_001, dtype=torch.float64)[:, None]
LARGEST, SCALE = LOSSES["ldam"].values()
Elements = Callable[[Tensor, Tensor], Tensor]


def _ldam(margin: float) -> Elements:
    return lambda logits, targets: ldam(logits, targets, torch.tensor([margin], dtype=torch.float64), SCALE)


def _asl(logits: Tensor, targets: Tensor) -> Tensor:
    return asymmetric(logits, targets, *LOSSES["asl"].values())


def _focal(logits: Tensor, targets: Tensor) -> Tensor:
    return focal(logits, targets, *LOSSES["focal"].values())


def _best(elements: Elements, target: float) -> float:
    """The logit, of a grid in steps of 0.001, with the least loss for a target that is smoothed by 0.1."""
    targets = smoothed(torch.full_like(LOGITS, target), 0.1)
    return LOGITS[elements(LOGITS, targets).argmin()].item()


@pytest.mark.parametrize(
    ("elements", "absent", "present"),
    [
        pytest.param(bce, -2.94, 2.94, id="bce"),
        pytest.param(_asl, -0.33, 1.83, id="asl"),
        pytest.param(_ldam(LARGEST), -0.07, 0.57, id="ldam, the rarest class"),
        pytest.param(_ldam(0.0), -0.10, 0.10, id="ldam, a class without margin"),
        pytest.param(_focal, -5.28, 5.28, id="focal"),
    ],
)
def test_the_best_logits_under_a_smoothing_of_a_tenth(elements: Elements, absent: float, present: float) -> None:
    """That of bce is the smoothed target itself; focal's minimum is farther out, but symmetric, and so it is not refused."""
    assert _best(elements, 0.0) == pytest.approx(absent, abs=0.01)
    assert _best(elements, 1.0) == pytest.approx(present, abs=0.01)


@pytest.mark.parametrize("loss", ["asl", "asl:4/0/0.05", "ldam", "ldam:0.3/10"])
def test_asl_and_ldam_are_refused_with_smoothing(loss: str) -> None:
    with pytest.raises(UserError, match=f"--loss {loss.partition(':')[0]} and --label-smoothing 0.05 exclude") as caught:
        TrainConfig(loss=loss, label_smoothing=0.05)
    numbers = "-0.3 and +1.8" if loss.startswith("asl") else "-0.1 and +0.6"
    assert numbers in caught.value.message
    assert "leave one" in caught.value.hint
    TrainConfig(loss=loss)


@pytest.mark.parametrize("loss", ["bce", "focal", "db", "two-way"])
def test_other_losses_take_smoothing(loss: str) -> None:
    assert TrainConfig(loss=loss, label_smoothing=0.1).label_smoothing == 0.1
