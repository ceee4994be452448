"""Options of `cxrlt check`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cxrlt_cli.config.train import TrainConfig
from cxrlt_cli.errors import UserError
from cxrlt_cli.options import flag


@dataclass(frozen=True)
class CheckConfig:
    """Tell, before a job is submitted, what would stop it: to be run on a node like the job's.

    Looks at the files of the workspace and whether they go together, ImageNet weights, space, shared memory, cores, GPUs, locks
    of the file system and versions. Exit code 2 where something would stop a training, or where ImageNet weights are absent; a
    warning stops none.
    """

    dataset: Path | None = flag(None, "Images and labels [default: dataset.parquet]")
    embeddings: Path | None = flag(None, "Label embeddings [default: label_embeddings.parquet]")
    backbone: tuple[str, ...] = flag(
        (TrainConfig.encoder,),
        "Encoder of torchvision whose ImageNet weights must be there; may be repeated. none: a training starts at random.",
        metavar="NAME",
    )
    encoder: tuple[str, ...] = flag((), "A text encoder that must be there; may be repeated.", metavar="NAME")
    device: Literal["auto", "cpu", "cuda"] = flag("auto", "cuda: there must be a GPU.")
    space: float = flag(5.0, "Space that must be free in the workspace, GB; a run of ResNet-50 takes about 1.", metavar="GB")
    json: bool = flag(False, "Print JSON, for a script.", name="--json")

    def __post_init__(self) -> None:
        if not self.space >= 0:
            raise UserError(f"--space {self.space} is not a number of 0 or more", "in GB, as in --space 20")
