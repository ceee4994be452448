"""Averages of weights."""

import pytest
import torch

from cxrlt_cli.tricks.weight_average import ema_decay, move_average, swa_decay


def test_swa_is_the_plain_mean() -> None:
    draws = [torch.randn(4) for _ in range(5)]
    average = {"w": torch.zeros(4), "n": torch.tensor(0)}
    for count, weights in enumerate(draws):
        move_average(average, {"w": weights, "n": torch.tensor(count)}, swa_decay(count))
    torch.testing.assert_close(average["w"], torch.stack(draws).mean(dim=0))
    assert average["n"] == 4


@pytest.mark.parametrize("decay", [0.0, 0.9, 0.999, 0.9999])
def test_the_warm_up_of_the_decay_equals_timms(decay: float) -> None:
    theirs = pytest.importorskip("timm.utils").ModelEmaV3(torch.nn.Linear(1, 1), decay=decay, use_warmup=True)
    for step in [*range(2000), 10**4, 10**5, 10**6, 10**7]:
        assert ema_decay(step, decay) == theirs.get_decay(step + 1), "timm counts updates from 1"


def test_the_decay_of_an_ema_rises_from_zero() -> None:
    assert ema_decay(0, 0.999) == 0
    assert ema_decay(1000, 0.999) == pytest.approx(0.99, abs=1e-4)
    assert ema_decay(31_600, 0.999) == pytest.approx(0.999, abs=1e-6)
    assert ema_decay(10**6, 0.999) == 0.999


def test_an_average_moves_by_what_its_decay_leaves() -> None:
    average = {"w": torch.tensor([1.0])}
    move_average(average, {"w": torch.tensor([3.0])}, 0.75)
    assert average["w"].item() == 1.5


def test_equal_to_torch() -> None:
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    torch.manual_seed(0)
    layer = torch.nn.Linear(3, 2)
    theirs = AveragedModel(layer, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    theirs.update_parameters(layer)
    ours = {name: value.clone() for name, value in layer.state_dict().items()}
    for _ in range(4):
        with torch.no_grad():
            for parameter in layer.parameters():
                parameter.add_(torch.randn_like(parameter))
        theirs.update_parameters(layer)
        move_average(ours, layer.state_dict(), 0.9)
    for name, value in theirs.module.state_dict().items():
        torch.testing.assert_close(ours[name], value)
