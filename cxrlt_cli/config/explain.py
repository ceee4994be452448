"""Options of `cxrlt explain`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cxrlt_cli.errors import UserError
from cxrlt_cli.options import flag
from cxrlt_cli.workspace import checked_name


@dataclass(frozen=True)
class ExplainConfig:
    """Draw attention and attribution maps of images.

    Writes one sheet per image and maps.parquet to explanations/NAME/. Attention: where a label's query looks. Attribution:
    contribution of each location to the label's logit.
    """

    run: str = flag("", "Run, by name under runs/ or folder.", argument=True, metavar="RUN")
    images: tuple[str, ...] = flag(
        (), "Image files (PNG, JPEG, DICOM), or image ids of the dataset.", argument=True, metavar="IMAGE..."
    )
    top: int = flag(4, "Number of labels with the highest scores to explain.", metavar="K")
    labels: tuple[str, ...] = flag((), "Explain this label too; may be repeated.", name="--label", metavar="CLASS")
    layers: Literal["last", "rollout"] = flag("last", "Attention of the last decoder layer, or rolled out through all layers.")
    method: Literal["grad-cam", "layer-integrated-gradients", "integrated-gradients"] = flag(
        "layer-integrated-gradients", "Attribution method."
    )
    dataset: Path | None = flag(None, "Dataset of the image ids [default: dataset.parquet]")
    name: str = flag("", "Name of the result: explanations/NAME/ [default: from run and images]")
    device: Literal["auto", "cpu", "cuda"] = flag("auto", "Device; auto: a GPU if there is one.")
    overwrite: bool = flag(False, "Replace an existing explanation.", name="--overwrite")

    def __post_init__(self) -> None:
        if not self.run or not self.images:
            raise UserError(
                "missing arguments: explain needs a RUN and an IMAGE", "as in: cxrlt explain runs/resnet50 chest.png"
            )
        if self.top < 0 or not (self.top or self.labels):
            raise UserError(f"--top {self.top} leaves nothing to explain", "ask for a label: --label CLASS; or --top 4")
        if self.name:
            checked_name(self.name)

    def artifact_name(self, run: str) -> str:
        """The name under `explanations/`."""
        more = f"+{len(self.images) - 1}" if len(self.images) > 1 else ""
        return self.name or f"{run}-{Path(self.images[0]).name.removesuffix('.png')}{more}"
