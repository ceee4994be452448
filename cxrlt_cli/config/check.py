"""Options of `cxrlt check`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cxrlt_cli.config.train import TrainConfig
from cxrlt_cli.errors import UserError
from cxrlt_cli.options import flag


@dataclass(frozen=True)
class CheckConfig:
    """Check whether this machine can train, before submitting a job.

    Run it on a node like the job's. Checks the files of the workspace, the weights of encoders and their licences, disk space,
    shared memory, cores, GPUs, file locks and versions. Exit code 2 if something would stop a training or if weights are
    missing; warnings do not change the exit code.
    """

    dataset: Path | None = flag(None, "Dataset with images and labels [default: dataset.parquet]")
    embeddings: Path | None = flag(None, "Label embeddings [default: label_embeddings.parquet]")
    features: str = flag(
        "", "Stored features, as for cxrlt train: they are checked instead of the pixels, and their encoder's weights.",
        metavar="NAME|FILE",
    )  # fmt: skip
    backbone: tuple[str, ...] = flag(
        (),
        "Image encoder whose weights are required, as for cxrlt train; may be repeated. none: random weights are intended. "
        "[default: resnet50, or the encoder of --features]",
        metavar="NAME",
    )
    encoder: tuple[str, ...] = flag((), "Text encoder that is required; may be repeated.", metavar="NAME")
    device: Literal["auto", "cpu", "cuda"] = flag("auto", "cuda: require a GPU.")
    space: float = flag(5.0, "Required free space in the workspace, GB; a run of ResNet-50 takes about 1.", metavar="GB")
    json: bool = flag(False, "Print JSON.", name="--json")

    def __post_init__(self) -> None:
        if not self.space >= 0:
            raise UserError(f"--space {self.space} is not a number of 0 or more", "in GB, as in --space 20")

    @property
    def usual_backbone(self) -> str:
        """The encoder of a bare `cxrlt train`."""
        return TrainConfig.encoder
