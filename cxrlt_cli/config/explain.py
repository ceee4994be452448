"""Options of `cxrlt explain`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cxrlt_cli.errors import UserError
from cxrlt_cli.options import flag
from cxrlt_cli.workspace import checked_name


@dataclass(frozen=True)
class ExplainConfig:
    """Show where each label's query looked in an image, and which part of it mattered.

    Draws a sheet an image to explanations/NAME/, over the radiograph as the network saw it, and keeps the maps in maps.parquet.
    Attention is where a query took its values from; whether they spoke for the label, Grad-CAM tells.
    """

    run: str = flag("", "A run, by name under runs/ or by folder.", argument=True, metavar="RUN")
    images: tuple[str, ...] = flag(
        (), "Files (PNG, JPEG, DICOM), or ids of images of the dataset.", argument=True, metavar="IMAGE..."
    )
    top: int = flag(4, "Explain so many labels of the highest scores.", metavar="K")
    labels: tuple[str, ...] = flag((), "Explain this label too; may be given several times.", name="--label", metavar="CLASS")
    layers: Literal["last", "rollout"] = flag("last", "Attention of the decoder's last layer, or followed through all of them.")
    method: Literal["grad-cam", "layer-integrated-gradients", "integrated-gradients"] = flag(
        "layer-integrated-gradients", "How the part of the image that mattered is found."
    )
    dataset: Path | None = flag(None, "The dataset of the ids [default: dataset.parquet]")
    name: str = flag("", "Name of the result: explanations/NAME/ [default: from run and images]")
    device: Literal["auto", "cpu", "cuda"] = flag("auto", "Where to compute; auto takes a GPU where there is one.")
    overwrite: bool = flag(False, "Replace an existing explanation.", name="--overwrite")

    def __post_init__(self) -> None:
        if not self.run or not self.images:
            raise UserError("explain what?", "name a run and an image, as in: cxrlt explain runs/resnet50 chest.png")
        if self.top < 0 or not (self.top or self.labels):
            raise UserError(f"--top {self.top} leaves nothing to explain", "ask for a label: --label CLASS; or --top 4")
        if self.name:
            checked_name(self.name)

    def artifact_name(self, run: str) -> str:
        """The name under `explanations/`."""
        more = f"+{len(self.images) - 1}" if len(self.images) > 1 else ""
        return self.name or f"{run}-{Path(self.images[0]).name.removesuffix('.png')}{more}"
