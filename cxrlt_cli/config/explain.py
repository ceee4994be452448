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
    contribution of each location to the label's logit. With --boxes: measures all maps against boxes around findings instead
    (pointing game, part of the map inside the box, IoU) and writes localisation.csv.
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
    boxes: Path | None = flag(
        None,
        "Boxes around findings: a CSV with image_id, class, x, y, w, h in pixels of the original image, or NIH's "
        "BBox_List_2017.csv. Without IMAGE: all its images in the dataset.",
        metavar="FILE",
    )
    boxes_size: str = flag(
        "",
        "Size of the original images of --boxes, unless it has columns width and height, or the image files are there.",
        metavar="SIDE|WIDTHxHEIGHT",
    )
    tolerance: float = flag(0.0, "Pointing game of --boxes: widen the boxes by this fraction of the side, 0 to 0.25.")
    allow_missing: bool = flag(
        False, "Leave out boxes of images or classes that are not there, and count them.", name="--allow-missing"
    )
    dataset: Path | None = flag(None, "Dataset of the image ids [default: dataset.parquet]")
    name: str = flag("", "Name of the result: explanations/NAME/ [default: from run and images]")
    device: Literal["auto", "cpu", "cuda", "mps"] = flag("auto", "Device; auto: a CUDA GPU if there is one.")
    overwrite: bool = flag(False, "Replace an existing explanation.", name="--overwrite")

    def __post_init__(self) -> None:
        if not self.run or not (self.images or self.boxes):
            raise UserError(
                "missing arguments: explain needs a RUN and an IMAGE", "as in: cxrlt explain runs/resnet50 chest.png"
            )
        if len(set(self.images)) < len(self.images):
            raise UserError(f"an image is named twice: {', '.join(self.images)}", "name each once")
        if self.top < 0 or not (self.top or self.labels):
            raise UserError(f"--top {self.top} leaves nothing to explain", "ask for a label: --label CLASS; or --top 4")
        if self.name:
            checked_name(self.name)
        if not self.boxes and (self.boxes_size or self.tolerance or self.allow_missing):
            raise UserError("--boxes-size, --tolerance and --allow-missing need --boxes", "which boxes? --boxes FILE")
        if self.boxes and self.labels:
            raise UserError("--label goes without --boxes, which names its classes", "leave other classes out of the file")
        if not 0 <= self.tolerance <= 0.25:
            raise UserError(
                f"--tolerance {self.tolerance} is not within 0 … 0.25", "0 is usual, 0.0625 is a sixteenth of the side"
            )
        self.original_size  # noqa: B018 - checked before any work

    @property
    def original_size(self) -> tuple[float, float] | None:
        """Width and height of `--boxes-size`, px; None without it. Raises UserError where it is neither one nor two sides."""
        if not self.boxes_size:
            return None
        sides = self.boxes_size.split("x")
        if len(sides) > 2 or not all(side.isascii() and side.isdigit() and int(side) > 0 for side in sides):
            raise UserError(f"--boxes-size {self.boxes_size!r} is neither SIDE nor WIDTHxHEIGHT", "as in 1024 or 2500x2048")
        return float(sides[0]), float(sides[-1])

    def artifact_name(self, run: str) -> str:
        """The name under `explanations/`."""
        if self.boxes:
            return self.name or f"{run}-boxes"
        more = f"+{len(self.images) - 1}" if len(self.images) > 1 else ""
        return self.name or f"{run}-{Path(self.images[0]).name.removesuffix('.png')}{more}"
