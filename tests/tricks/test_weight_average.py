"""Averages of weights."""

import torch

from cxrlt_cli.tricks.weight_average import ema_decay, move_average, swa_decay


def test_swa_is_the_plain_mean() -> None:
    draws = [torch.randn(4) for _ in range(5)]
    average = {"w": torch.zeros(4), "n": torch.tensor(0)}
    for count, weights in enumerate(draws):
        move_average(average, {"w": weights, "n": torch.tensor(count)}, swa_decay(count))
    torch.testing.assert_close(average["w"], torch.stack(draws).mean(dim=0))
    assert average["n"] == 4


def test_ema_forgets_the_start_soon() -> None:
    assert ema_decay(0, 0.999) == 0.1
    assert ema_decay(90, 0.999) == 0.91
    assert ema_decay(10**6, 0.999) == 0.999
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
