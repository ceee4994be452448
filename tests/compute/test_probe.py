"""What is tried before the first step."""

import copy
from collections.abc import Callable
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from torch import nn

from cxrlt_cli.compute.probe import compile_network, fitting_parts, least_images, training_pass
from cxrlt_cli.config.train import TrainConfig
from cxrlt_cli.errors import UserError
from cxrlt_cli.options import select
from cxrlt_cli.train.build import make_network
from cxrlt_cli.train.settings import NetworkSettings

CPU = torch.device("cpu")


class Small(nn.Module):
    """A convolution and a batch norm; it holds no more than `most` images."""

    def __init__(self, most: int = 100) -> None:
        super().__init__()
        self.most, self.layers = most, nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout())

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if len(images) > self.most:
            raise torch.OutOfMemoryError
        found: torch.Tensor = self.layers(images)
        return found


def _tried(network: nn.Module) -> Callable[[int], None]:
    return training_pass(network, (1, 8, 8), CPU, torch.float32)


@pytest.mark.parametrize(("most", "parts"), [(100, 1), (12, 1), (11, 2), (5, 3), (1, 12)])
def test_as_few_parts_as_memory_holds(most: int, parts: int) -> None:
    assert fitting_parts(12, _tried(Small(most))) == parts


def test_where_nothing_fits_it_says_so_and_other_errors_are_not_hidden() -> None:
    with pytest.raises(UserError, match="not even one image"):
        fitting_parts(4, _tried(Small(0)))
    with pytest.raises(RuntimeError, match="Kernel size"):
        fitting_parts(4, training_pass(Small(), (1, 2, 2), CPU, torch.float32))


def test_a_trial_leaves_no_trace() -> None:
    network = Small().eval()
    before = copy.deepcopy(network.state_dict())
    torch.manual_seed(5)
    _tried(network)(4)
    assert not network.training
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())
    after = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(after, torch.rand(1)), "no number that is drawn later changes"


def test_where_it_does_not_compile_it_goes_on_without(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    network = Small()

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no compiler here")

    monkeypatch.setattr(torch, "compile", lambda *_, **__: broken)
    assert not compile_network(network, _tried(network), 2, CPU)
    assert "--compile failed (no compiler here); continuing without it" in capsys.readouterr().err
    assert network(torch.zeros(2, 1, 8, 8)).shape == (2, 2, 6, 6)


def test_what_compiles_is_the_same_function(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Small().eval()
    images = torch.randn(3, 1, 8, 8)
    expected = network(images)
    compiled = torch.compile
    monkeypatch.setattr(torch, "compile", lambda module, **_: compiled(module, backend="aot_eager"))
    assert compile_network(network, _tried(network), 3, CPU)
    assert network._compiled_call_impl is not None
    assert torch.allclose(network(images), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("encoder", "frozen", "size", "least"),
    [
        ("timm:test_resnet", False, 32, 2),
        ("timm:test_resnet", False, 64, 1),
        ("timm:test_resnet", True, 32, 1),
        ("timm:test_convnext", False, 32, 1),  # has no batch norms
    ],
)
def test_one_image_is_too_few_where_a_batch_norm_gets_a_single_value(encoder: str, frozen: bool, size: int, least: int) -> None:
    config = TrainConfig(encoder=encoder, queries="none", weights="none")
    network, _ = make_network(select(NetworkSettings, config), np.zeros((3, 4), np.float32))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    assert least_images(network, frozen, (1, size, size), torch.device("cpu")) == least
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    network.train()
    if frozen:
        network.encoder.eval()
    with pytest.raises(ValueError, match="more than 1 value") if least > 1 else nullcontext():
        network(torch.zeros(1, 1, size, size))


def test_parts_are_not_smaller_than_they_may_be() -> None:
    def tried(count: int) -> None:
        if count > 2:
            raise torch.OutOfMemoryError

    assert fitting_parts(8, tried, least=2) == 4
    with pytest.raises(UserError, match="not even 4 images fit"):
        fitting_parts(8, tried, least=4)
