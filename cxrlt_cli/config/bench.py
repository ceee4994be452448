"""Options of `cxrlt bench`."""

from dataclasses import dataclass
from typing import Literal

from cxrlt_cli.config.train import TrainConfig
from cxrlt_cli.errors import UserError
from cxrlt_cli.options import flag, flag_of


@dataclass(frozen=True)
class BenchConfig:
    """Measure the speed of this machine.

    Images per second of reading, augmentation, forward pass, backward pass, a training step, and prediction with 1 and 8 views,
    on synthetic images, next to the machine's peak; which part limits training, and how long an epoch takes.
    """

    encoder: str = flag("resnet50", "Image encoder, as for cxrlt train.", metavar="NAME")
    queries: Literal["text", "none"] = flag("text", "text: label-query decoder. none: pooling and a linear layer.")
    classifier: Literal["separate", "shared", "mlp"] = flag("separate", "As for cxrlt train.")
    size: int = flag(224, "Side of the images, px.", most=4096)
    batch_size: int = flag(16, "Images per step and per forward pass of predict.", most=1 << 14)
    classes: int = flag(26, "Number of labels.", most=10_000)
    images: int = flag(264_849, "Images per epoch, for the estimated hours; the default is CXR-LT 2023.", most=10**9)
    seconds: float = flag(3.0, "Seconds to measure each part, 0 to 3600.")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = flag("auto", "As for cxrlt train.")
    layout: Literal["auto", "channels-last", "plain"] = flag("auto", "As for cxrlt train.")
    compile: bool = flag(False, "As for cxrlt train.", name="--compile")
    checkpointing: bool = flag(False, "As for cxrlt train.", name="--checkpointing")
    device: Literal["auto", "cpu", "cuda"] = flag("auto", "Device; auto: a GPU if there is one.")
    json: bool = flag(False, "Print JSON instead of a table.", name="--json")

    @property
    def training(self) -> TrainConfig:
        """The options of the training that is measured."""
        return TrainConfig(
            encoder=self.encoder, queries=self.queries, classifier=self.classifier, batch_size=self.batch_size,
            precision=self.precision, layout=self.layout, compile=self.compile, checkpointing=self.checkpointing,
        )  # fmt: skip

    def __post_init__(self) -> None:
        for name in ("size", "batch_size", "classes", "images"):
            if getattr(self, name) < 1:
                raise UserError(f"{flag_of(self, name)} {getattr(self, name)} is not at least 1", "see cxrlt bench --help")
        if not 0 <= self.seconds <= 3600:
            raise UserError(f"--seconds {self.seconds} is not within 0 … 3600", "as in 3")
