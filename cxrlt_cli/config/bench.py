"""Options of `cxrlt bench`."""

from dataclasses import dataclass
from typing import Literal

from cxrlt_cli.config.train import TrainConfig
from cxrlt_cli.errors import UserError
from cxrlt_cli.options import flag, flag_of


@dataclass(frozen=True)
class BenchConfig:
    """Measure this machine: images/s of each part of training and prediction, beside what it could do at most.

    Reading, augmentation, forward, backward, a whole step, and prediction with 1 and 8 views, on made-up images in a
    temporary folder; what holds the others up, and how long an epoch takes.
    """

    encoder: str = flag("resnet50", "Visual encoder, as for cxrlt train.", metavar="NAME")
    queries: Literal["text", "none"] = flag("text", "text: the label-query decoder; none: pooling and a linear layer.")
    classifier: Literal["separate", "shared", "mlp"] = flag("separate", "As for cxrlt train.")
    size: int = flag(224, "Side of the images, px.")
    batch_size: int = flag(16, "Images a step, and a forward pass of predict.")
    classes: int = flag(26, "Labels.")
    images: int = flag(264_849, "Images of the epoch whose hours are told; 264,849 are those of CXR-LT 2023.")
    seconds: float = flag(3.0, "Each part is measured for about so long.")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = flag("auto", "As for cxrlt train.")
    layout: Literal["auto", "channels-last", "plain"] = flag("auto", "As for cxrlt train.")
    compile: bool = flag(False, "As for cxrlt train.", name="--compile")
    checkpointing: bool = flag(False, "As for cxrlt train.", name="--checkpointing")
    device: Literal["auto", "cpu", "cuda"] = flag("auto", "Where to compute; auto takes a GPU where there is one.")
    json: bool = flag(False, "Print JSON instead of the table.", name="--json")

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
