"""Devices and precisions. There is no Apple GPU here: what is tested is what cxrlt chooses for one."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from cxrlt_cli.compute.autotune import Workload, choose_compute_mode, device_name
from cxrlt_cli.compute.device import choose_device, choose_precision
from cxrlt_cli.config.train import TrainConfig
from cxrlt_cli.config.train_grammar import LOSSES
from cxrlt_cli.data.batches import Batch
from cxrlt_cli.errors import UserError
from cxrlt_cli.model.network import in_layout, usual_layout
from cxrlt_cli.options import select
from cxrlt_cli.train.batch_pipeline import make_pipeline
from cxrlt_cli.train.loss import Counts, make_loss
from cxrlt_cli.train.settings import AugmentSettings, LossSettings, MixSettings

MPS, CPU = torch.device("mps"), torch.device("cpu")


@pytest.fixture(params=[True, False])
def apple(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[bool]:
    """Whether there is an Apple GPU."""
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: request.param)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    return request.param


def test_mps_is_taken_on_request_only(apple: bool) -> None:
    assert choose_device("auto") == choose_device("cpu") == CPU
    if apple:
        assert choose_device("mps") == MPS
        with pytest.raises(UserError, match="several processes"):
            choose_device("mps", local=1)
    else:
        with pytest.raises(UserError, match="no Apple GPU"):
            choose_device("mps")


def test_an_apple_gpu_computes_in_fp32_and_in_the_plain_layout_without_measuring(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_precision("auto", MPS) == torch.float32
    assert choose_precision("bf16", MPS) == torch.bfloat16
    for device in (MPS, CPU):
        with pytest.raises(UserError, match="fp16 needs a GPU with CUDA"):
            choose_precision("fp16", device)
    assert usual_layout(MPS, 512) == torch.contiguous_format
    assert usual_layout(CPU, 512) == torch.channels_last
    monkeypatch.setattr("cxrlt_cli.compute.autotune._measure", None)
    mode = choose_compute_mode(select(Workload, TrainConfig(encoder="resnet18")), 512, MPS)
    assert (mode.name, device_name(MPS)) == ("fp32, plain", "mps")


def test_one_channel_on_a_gpu_has_strides_that_only_channels_last_has() -> None:
    last, plain = torch.channels_last, torch.contiguous_format
    with FakeTensorMode(), torch.device("cuda"):
        gray, color = torch.empty(4, 1, 32, 48), torch.empty(4, 3, 32, 48)
        assert in_layout(gray, last).stride() == (32 * 48, 1, 48, 1)
        assert in_layout(gray, plain).stride() == (32 * 48, 32 * 48, 48, 1)
        assert in_layout(color, last).stride() == (3 * 32 * 48, 1, 3 * 48, 3)
    images = torch.rand(4, 1, 32, 48)
    assert in_layout(images, last) is images


def test_memory_is_locked_for_cuda_alone() -> None:
    settings = TrainConfig()
    counts = Counts(torch.tensor([3, 2]), torch.tensor([9, 9]))
    parts = (select(kind, settings) for kind in (MixSettings, AugmentSettings, LossSettings))
    with torch.device("meta"):
        pixels, labels = torch.zeros(2, 8, 8, dtype=torch.uint8), torch.zeros(2, 2)
    batch = Batch(np.arange(2), np.arange(2), pixels, labels, labels.bool())
    assert make_pipeline(*parts, counts, torch.device("meta")).ahead(0, batch) is batch


@pytest.mark.parametrize("options", [*({"loss": name} for name in LOSSES), {"logit_adjustment": 1.0, "balance": "prevalence"}])
def test_all_constants_of_a_loss_are_on_its_device_in_fp32(options: dict[str, Any]) -> None:
    """The device is `meta`, which like any other refuses tensors of the CPU; mps has no float64."""
    counts = Counts(torch.tensor([60, 20, 3]), torch.tensor([99, 99, 80]), torch.tensor([1.0, 1.0, 3.0], dtype=torch.float64))
    meta = torch.device("meta")
    loss = make_loss(select(LossSettings, TrainConfig(**options)), counts, meta)
    given = torch.zeros(4, 3, device=meta)
    found = loss(given, given, torch.ones_like(given, dtype=torch.bool), 1.0)
    assert (found.device, found.dtype) == (meta, torch.float32)
