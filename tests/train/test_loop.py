"""The training loop on a GPU, as far as it can be checked without one: torch's fake tensors have a device, but no values."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from cxrlt_cli.bench.workloads import Parts, make_parts
from cxrlt_cli.config.train import TrainConfig
from cxrlt_cli.data.batches import Batch
from cxrlt_cli.train.batch_pipeline import make_pipeline
from cxrlt_cli.train.loop import gradients, optimizer_step, to_host
from cxrlt_cli.train.loss import Counts
from cxrlt_cli.train.train import settings_of

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
COUNT, SIZE, CLASSES = 8, 32, 3
#: Blur and noise read tensors of the host, which this mode cannot tell from those of the GPU.
MOST_TRICKS = {"mixup": 0.2, "mosaic": 0.5, "erasing": 0.9}


@pytest.mark.parametrize(
    "options",
    [
        MOST_TRICKS,
        {"cutmix": 1.0, "logit_adjustment": 1.0},
        {"augment": "none", "label_smoothing": 0.1, "balance": "prevalence"},
        *({"loss": loss} for loss in ("focal", "asl", "ldam", "db", "two-way")),
    ],
    ids=str,
)
def test_nothing_is_read_from_a_gpu_between_the_batch_and_its_loss(options: dict[str, object]) -> None:
    settings = settings_of(TrainConfig(encoder="timm:tiny_net", **options))  # type: ignore[arg-type]
    weights = torch.tensor([1.0, 2.0, 3.0])
    with FakeTensorMode(allow_non_fake_inputs=True), torch.device("cuda"):
        pipeline = make_pipeline(settings.mix, settings.augment, settings.loss, Counts(weights, 9 * weights, weights), CUDA)
        rows = np.arange(COUNT)
        images = torch.zeros(COUNT, SIZE, SIZE, dtype=torch.uint8)
        batch = Batch(rows, rows, images, torch.zeros(COUNT, CLASSES), torch.ones(COUNT, CLASSES, dtype=torch.bool))
        inputs, targets, label_mask = pipeline.inputs(batch, 0, pipeline.mix(0, COUNT), rows)
        assert inputs.device.type == "cuda"
        loss = pipeline.loss(torch.zeros(COUNT, CLASSES), targets, label_mask, 0.5)
        assert loss.device.type == "cuda"
        with pytest.raises(DataDependentOutputException):
            float(loss)


def _parts(folder: Path, **options: object) -> Parts:
    config = TrainConfig(encoder="timm:tiny_net", batch_size=COUNT, precision="fp32", layout="plain", weights="none", **options)  # type: ignore[arg-type]
    return make_parts(settings_of(config), SIZE, CLASSES, folder, CPU)


class NoReads(TorchDispatchMode):
    """Fails where Python asks for a value of a tensor: on a GPU the host would wait there."""

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):  # type: ignore[no-untyped-def]
        assert function is not torch.ops.aten._local_scalar_dense.default, "a value is read"
        return function(*arguments, **(keywords or {}))


@pytest.mark.parametrize(
    ("parts", "options"),
    [
        (2, {"average": "ema"}),
        *((1, {"queries": queries}) for queries in ("none", "csra", "glori", "tuned")),
        (1, {"decoder": "transformer", "decoder_width": 16}),
        (1, {"decoder_layers": 2, "decoder_positions": "sine"}),
    ],
    ids=str,
)
def test_a_step_is_queued_without_reading_a_value(parts: int, options: dict[str, object], tmp_path: Path) -> None:
    made = _parts(tmp_path, **options)
    training = replace(made.training, parts=parts)
    with NoReads():
        numbers = optimizer_step(made.state, gradients(training, made.state, made.ready, COUNT))
        with pytest.raises(AssertionError, match="a value is read"):
            float(numbers[0])
    assert len(numbers) == parts + 1


def test_micro_batches_add_up_to_the_gradient_of_the_batch(tmp_path: Path) -> None:
    parts = _parts(tmp_path, queries="none")
    parts.state.network.eval()  # batch norms would see another batch
    images, targets, label_mask = parts.ready
    label_mask = label_mask.clone()
    label_mask[0, 0] = label_mask[5] = False  # unequal numbers of known labels
    found = []
    for count in (1, 2, 4):
        training = replace(parts.training, parts=count)
        losses = gradients(training, parts.state, (images, targets, label_mask), COUNT)
        assert losses.shape == (count,)
        found.append((float(losses.sum()), [p.grad.clone() for p in parts.state.network.parameters() if p.grad is not None]))
    for loss, grads in found[1:]:
        assert loss == pytest.approx(found[0][0], abs=1e-6)
        for own, whole in zip(grads, found[0][1], strict=True):
            torch.testing.assert_close(own, whole, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("broken", ["loss", "gradient", ""])
def test_only_a_finite_step_moves_the_weights(broken: str, tmp_path: Path) -> None:
    parts = _parts(tmp_path)
    losses = gradients(parts.training, parts.state, parts.ready, COUNT)
    weights = [tensor.detach().clone() for tensor in parts.state.network.parameters()]
    if broken == "gradient":
        next(p for p in parts.state.network.parameters() if p.grad is not None).grad.fill_(torch.inf)  # type: ignore[union-attr]
    numbers = to_host(optimizer_step(parts.state, losses * torch.nan if broken == "loss" else losses))()
    assert all(np.isfinite(numbers)) == (not broken)
    same = [torch.equal(own, before) for own, before in zip(parts.state.network.parameters(), weights, strict=True)]
    assert all(same) == bool(broken)
    steps = {float(entry["step"]) for entry in parts.state.optimizer.state.values()}
    assert steps == ({0.0} if broken else {1.0})
