"""Options of `cxrlt features`."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from cxrlt_cli.config.encoder_name import parse_encoder
from cxrlt_cli.config.grammar import parse_job_shard
from cxrlt_cli.config.ranges import check_positive, check_seed
from cxrlt_cli.errors import UserError
from cxrlt_cli.options import flag
from cxrlt_cli.workspace import checked_name, shard_name


@dataclass(frozen=True)
class FeaturesConfig:
    """Compute the feature maps of a frozen encoder once.

    Writes features/NAME.h5: a float16 map per image, which `cxrlt train --features NAME` trains the decoder and the classifiers
    on. A killed or stopped run continues with --resume.
    """

    #: Field -> the panel of `--help` that begins with it.
    PANELS: ClassVar[dict[str, str]] = {"encoder": "Encoder", "grid": "Maps", "batch_size": "Hardware", "shard": "Run"}

    source: Path | None = flag(
        None, "Dataset, or a cache images/NAME.h5, whose images are encoded [default: dataset.parquet]", argument=True
    )
    encoder: str = flag("resnet50", "Image encoder, as in cxrlt train --encoder.", metavar="NAME")
    weights: str = flag(
        "auto", "Weights of the encoder, as in cxrlt train --weights.", metavar="auto|imagenet|pretrained|FILE|RUN"
    )
    stride: Literal["32", "16", "8"] = flag("32", "Pixels per cell of the feature map, as in cxrlt train --stride.")
    grid: int = flag(
        0, "Average each map over G x G cells, as in 7; smaller files, faster training. 0: the map as it is.", metavar="G",
        most=1024,
    )  # fmt: skip
    views: int = flag(
        1, "Maps per image: the image as it is, then V - 1 augmented ones. Training draws one per image and epoch.",
        metavar="V", most=256,
    )  # fmt: skip
    seed: int = flag(0, "Random seed of the augmented views.", most=(1 << 63) - 1)
    batch_size: int = flag(64, "Images per forward pass.", free=True)
    device: Literal["auto", "cpu", "cuda", "mps"] = flag("auto", "Device; auto: a CUDA GPU if there is one.", free=True)
    precision: Literal["fp32", "bf16", "fp16"] = flag(
        "fp32", "Precision of convolutions and matrix products. Scores are equal with the same --precision of cxrlt predict."
    )
    shard: str = flag(
        "",
        "Encode shard i (from 0) of n into its own file; slurm: take both from the job array. See cxrlt join --features.",
        metavar="i/n",
    )
    name: str = flag("", "Name of the file: features/NAME.h5 [default: from the encoder, grid and views]")
    resume: bool = flag(False, "Continue an unfinished file if there is one.", name="--resume", free=True)
    overwrite: bool = flag(False, "Replace an existing file.", name="--overwrite", free=True)

    def __post_init__(self) -> None:
        check_seed(self.seed)
        check_positive(self, ("views", "batch_size"))
        if self.grid < 0:
            raise UserError(f"--grid {self.grid} is negative", "as in 7; 0 stores the map as it is")
        if self.resume and self.overwrite:
            raise UserError("--resume and --overwrite exclude each other", "--resume continues, --overwrite starts again")
        if self.weights == "none":
            raise UserError("--weights none: features of random weights are of no use", "give --weights imagenet, FILE or RUN")
        self.part  # noqa: B018 - checked before any work
        checked_name(self.artifact_name)

    @property
    def part(self) -> tuple[int, int]:
        """(i, n) of the shard, (0, 1) without one. Raises UserError as `parse_job_shard`."""
        return parse_job_shard(self.shard)

    @property
    def artifact_name(self) -> str:
        """The name under `features/`."""
        parts = [parse_encoder(self.encoder).short, f"grid{self.grid}" if self.grid else "", f"{self.views}views"]
        name = self.name or "-".join(part for part in parts[: 3 if self.views > 1 else 2] if part)
        return shard_name(name, *self.part) if self.shard else name
