"""Describes an image cache: number of images, settings, gray values."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from cxrlt_cli.artifacts.failures import count_absent
from cxrlt_cli.artifacts.files import replacing
from cxrlt_cli.artifacts.image_file import read_attributes
from cxrlt_cli.artifacts.image_pixels import ImageReader
from cxrlt_cli.artifacts.provenance import Provenance
from cxrlt_cli.artifacts.source_table import read_source_table
from cxrlt_cli.console import escaped
from cxrlt_cli.errors import UserError
from cxrlt_cli.info.description import Description
from cxrlt_cli.paths import is_file

_SAMPLE = 256
_SHEET = 64  # images
_TILE, _LINE = 160, 14  # px


def describe_images(path: Path) -> Description:
    """Describes `images/NAME.h5`, finished or not. Raises UserError as reading it does."""
    reader = ImageReader(path)
    layout, done = reader.layout, int(reader.done.sum())
    rows = _spread(reader.done, _SAMPLE)
    gray = reader.read(rows)
    constant = int((gray.reshape(len(gray), -1).std(axis=1) == 0).sum()) if len(gray) else 0
    mean, std = (float(gray.mean()), float(gray.std())) if len(gray) else (float("nan"), float("nan"))
    source = read_attributes(path, "source")
    finished = path.suffix != ".part"
    table = path.with_suffix(".parquet")
    missing = count_absent(path.with_suffix(".failed.csv")) if finished else 0
    provenance = read_source_table(table).header.provenance if finished and is_file(table) else Provenance()
    lines = [
        ("images", _counts(len(layout.ids), done, missing, finished)),
        ("size", f"{layout.size} x {layout.size} px, gray, 8 bit, in {len(layout.parts)} file(s)"),
        ("made with", ", ".join(f"{key} {value}" for key, value in layout.settings.items() if value)),
        ("source", " ".join(str(source[key]) for key in ("kind", "shard") if key in source)),
        ("gray values", f"mean {mean:.1f}, standard deviation {std:.1f} ( {len(gray)} images)"),
        ("without contrast", f"{constant} of these {len(gray)}"),
    ]  # fmt: skip
    facts = {
        "kind": "images",
        "finished": finished,
        "images": len(layout.ids),
        "listed": len(layout.ids) + missing,
        "done": done,
        "missing": missing,
        "size": layout.size,
        "files": [part.path.name for part in layout.parts],
        "settings": layout.settings,
        "source": source,
        "sampled": len(gray),
        "mean": mean,
        "deviation": std,
        "constant": constant,
    }
    return Description("images" if finished else "images, not finished (cxrlt cache --resume)", lines, facts, provenance)


def _counts(places: int, done: int, missing: int, finished: bool) -> str:
    """Counts of the listed images: `places` rows, `done` of them with pixels, and missing files."""
    if not finished:
        return f"{places}, {done} cached, {places - done} to do"
    unreadable = f", {places - done} unreadable" if places > done else ""
    return f"{places + missing} listed, {done} cached, {missing} missing{unreadable}"


def _spread(done: np.ndarray, most: int) -> np.ndarray:
    """Up to `most` finished rows, evenly spaced over the file."""
    rows = np.flatnonzero(done)
    return rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).astype(int)]


def draw_images(path: Path, figure: Path) -> None:
    """Draws a contact sheet of up to 64 images with their ids.

    Raises:
        UserError: no image is finished, or the file cannot be written or is not a PNG.
    """
    if figure.suffix != ".png":
        raise UserError(f"--figure {figure}: a contact sheet must be a PNG", "name a .png")
    reader = ImageReader(path)
    rows = _spread(reader.done, _SHEET)
    if not len(rows):
        raise UserError(f"{path} has no image with pixels", "continue with cxrlt cache --resume")
    columns = min(8, len(rows))
    lines = -(-len(rows) // columns)
    sheet = Image.new("L", (columns * (_TILE + 4) + 4, lines * (_TILE + _LINE + 4) + 4), 40)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(10)
    for number, (row, pixels) in enumerate(zip(rows, reader.read(rows), strict=True)):
        left, top = 4 + (number % columns) * (_TILE + 4), 4 + (number // columns) * (_TILE + _LINE + 4)
        sheet.paste(Image.fromarray(pixels).resize((_TILE, _TILE), Image.Resampling.LANCZOS), (left, top))
        draw.text((left, top + _TILE), _short(reader.layout.ids[int(row)]), fill=230, font=font)
    with replacing(figure) as aside:
        sheet.save(aside, format="PNG")


def _short(name: str, most: int = 26) -> str:
    name = escaped(name)
    return name if len(name) <= most else f"{name[: most // 2 - 1]}…{name[-(most // 2) :]}"
