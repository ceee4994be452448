"""Features once, heads from them: images/s, disk, memory, and an epoch from features beside one from pixels.

python benchmarks/features.py [IMAGES ...]        by default 1000 20000

Processor seconds are those of a process of its own with one thread, which other work on the machine touches little. The cost of
storing and reading is measured with an encoder that computes next to nothing (one convolution to maps of 768 x 7 x 7, the size
of RAD-DINO's pooled to 7 x 7), so that the encoder does not hide it; the ratio to pixels with a ResNet-18 at 224 px.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported

import numpy as np
import torch
from timm.models import register_model
from torch import Tensor, nn

from cxrlt_cli.artifacts.dataset import write_dataset
from cxrlt_cli.artifacts.embeddings import LabelEmbeddings, write_embeddings
from cxrlt_cli.artifacts.provenance import record
from cxrlt_cli.bench.synthetic import made_up_dataset
from cxrlt_cli.config.features import FeaturesConfig
from cxrlt_cli.config.train import TrainConfig
from cxrlt_cli.features.features import store_features
from cxrlt_cli.model.encoder import VisualEncoder
from cxrlt_cli.train import train as stage
from cxrlt_cli.train.loop import train_epochs
from cxrlt_cli.workspace import Workspace

CLASSES, NIH, EPOCHS = 14, 112_120, 20


class Patches(nn.Module):
    """One convolution of 9 px patches: 63 px give 7 x 7 cells of 768 channels."""

    num_features = 768

    def __init__(self) -> None:
        super().__init__()
        self.pretrained_cfg = {"mean": (0.5,), "std": (0.25,)}
        self.patches = nn.Conv2d(1, 768, 9, 9)

    def forward_features(self, images: Tensor) -> Tensor:
        """(B, 1, S, S) to (B, 768, S/9, S/9)."""
        found: Tensor = self.patches(images)
        return found


@register_model
def nearly_nothing(**_: object) -> nn.Module:
    """The network, for `--encoder timm:nearly_nothing`."""
    return Patches()


@dataclass(frozen=True)
class Cost:
    """Of a process: seconds on the clock, of the processor, and the peak of its memory."""

    seconds: float
    processor: float
    memory: int


def measured(work: Callable[[], object]) -> Cost:
    """What a piece of work costs, in a process that is forked for it."""
    began = time.perf_counter()
    child = os.fork()
    if not child:
        try:
            work()
        finally:
            os._exit(0)
    _, _, used = os.wait4(child, 0)
    return Cost(time.perf_counter() - began, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024)


def workspace_of(folder: Path, count: int, size: int, encoder: str) -> Workspace:
    """Noise images with random labels, nine in ten for training; label embeddings; weights of the encoder."""
    dataset = made_up_dataset(folder, count, size, CLASSES)
    split = np.where(np.arange(count) % 10 == 9, "val", "train")
    table = dataset.table.assign(split=split, patient_id=dataset.table["image_id"], source="noise", study_id=None)
    table = table.assign(view=None, sex=None, age=np.nan)
    write_dataset(replace(dataset, table=table, path=folder / "dataset.parquet"))
    vectors = np.random.default_rng(0).standard_normal((CLASSES, 768), np.float32)
    texts = [[name] for name in dataset.classes]
    write_embeddings(folder / "label_embeddings.parquet", LabelEmbeddings(dataset.classes, texts, vectors, {}), record({}))
    torch.manual_seed(0)
    torch.save(VisualEncoder(encoder).network.state_dict(), folder / "weights.pth")
    return Workspace(folder)


def trained(workspace: Workspace, encoder: str, name: str, epochs: int, **more: Any) -> tuple[Cost, float]:
    """The cost of a training of a frozen encoder's head, and processor seconds of an epoch, validation included."""
    weights, note = str(workspace.root / "weights.pth"), workspace.root / "epochs.txt"
    options: dict[str, Any] = {"encoder": encoder, "weights": weights, "tune": "head", "augment": "none", "epochs": epochs}
    config = TrainConfig(name=name, layout="plain", precision="fp32", save_every="0", **options, **more)

    def timed(*arguments: Any) -> bool:
        began = time.process_time()
        ended = train_epochs(*arguments)
        note.write_text(str((time.process_time() - began) / epochs))
        return ended

    def work() -> None:
        stage.train_epochs = timed  # type: ignore[assignment]
        stage.train_run(config, workspace)

    return measured(work), float(note.read_text())


def stored(workspace: Workspace, encoder: str) -> tuple[Cost, int]:
    """The cost of storing features, and the bytes of the file."""
    config = FeaturesConfig(
        source=workspace.dataset, encoder=encoder, weights=str(workspace.root / "weights.pth"), name="maps", overwrite=True
    )
    cost = measured(lambda: store_features(config, workspace))
    return cost, (workspace.features / "maps.h5").stat().st_size


def main() -> None:
    """Prints two tables."""
    print("| maps of 768 x 7 x 7 | store: images a processor second | on the clock | disk | memory | ", end="")
    print("label queries, an epoch: images a processor second | memory | linear head |\n" + "| --- " * 8 + "|", flush=True)
    for count in map(int, sys.argv[1:] or ["1000", "20000"]):
        with tempfile.TemporaryDirectory() as folder:
            workspace = workspace_of(Path(folder), count, 63, "timm:nearly_nothing")
            cost, size = stored(workspace, "timm:nearly_nothing")
            training, epoch = trained(workspace, "timm:nearly_nothing", "head", 1, features="maps")
            _, linear = trained(workspace, "timm:nearly_nothing", "linear", 1, features="maps", queries="none")
            print(
                f"| {count:,} | {count / cost.processor:,.0f} | {count / cost.seconds:,.0f}/s | {size / 1e9:.2f} GB | "
                f"{cost.memory / 1e9:.2f} GB | {count / epoch:,.0f} | {training.memory / 1e9:.2f} GB | {count / linear:,.0f} |",
                flush=True,
            )
            hours = [NIH * EPOCHS * seconds / count / 3600 for seconds in (epoch, linear)]
            print(f"{NIH:,} images, {EPOCHS} epochs, processor hours: {hours[0]:.2f}, linear {hours[1]:.2f}", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        workspace = workspace_of(Path(folder), 96, 224, "resnet18")
        cost, _ = stored(workspace, "resnet18")
        _, features = trained(workspace, "resnet18", "features", 2, features="maps", batch_size=16)
        _, pixels = trained(workspace, "resnet18", "pixels", 1, batch_size=16)
    print("\n| ResNet-18, 224 px, 96 images | processor seconds |\n| --- | --- |")
    print(f"| features, once | {cost.processor:.1f} |\n| an epoch from pixels, encoder frozen | {pixels:.1f} |")
    print(f"| an epoch from features | {features:.2f}, 1/{pixels / features:.0f} |")


if __name__ == "__main__":
    main()
