"""A picture and a map over it as data URLs, for pages of one file."""

import base64
import io
from typing import Any, Literal

import numpy as np
from PIL import Image

from cxrlt_cli.explain.explain_image import explain
from cxrlt_cli.explain.heatmap import ATTENTION, ATTRIBUTION, overlay, peak_of
from cxrlt_cli.predict.members import Member

_OVERLAY_SIDE = 72  # px of the overlay on a picture: it is coarse

Map = Literal["attention", "attribution"]


def inline_picture(gray: np.ndarray, side: int) -> str:
    """A JPEG of an (S, S) uint8 image, at most `side` px wide, as a data URL."""
    image = Image.fromarray(gray)
    if image.width > side:
        image = image.resize((side, side), Image.Resampling.LANCZOS)
    return _encoded(image, format="JPEG", quality=85)


def inline_overlay(member: Member | None, gray: np.ndarray, label: str, wanted: Map) -> dict[str, Any]:
    """A map of a label over an image, as `overlay` (a data URL), `peak` (times its mean) and `how` (which map it is).

    Args:
        member: the network; None, or one without the label, for no overlay.
        gray: (S, S) uint8.
        label: class name.
        wanted: attention, which a network without queries does not have: its attribution then; or attribution.
    """
    if member is None or label not in member.classes:
        return {"overlay": "", "peak": None, "how": ""}
    column = member.classes.index(label)
    queried = member.config.options.get("queries") not in ("none", "csra")
    method = None if wanted == "attention" and queried else "layer-integrated-gradients"
    found = explain(member, gray, [column], 0, "last", method)  # type: ignore[arg-type]
    values, colour = (found.attention, ATTENTION) if found.attribution is None else (found.attribution, ATTRIBUTION)
    assert values is not None
    png = _encoded(Image.fromarray(overlay(values[0], _OVERLAY_SIDE, colour)), format="PNG", optimize=True)
    return {"overlay": png, "peak": peak_of(values[0]), "how": "attention" if found.attribution is None else "attribution"}


def _encoded(image: Image.Image, **options: Any) -> str:
    buffer = io.BytesIO()
    image.save(buffer, **options)
    kind = str(options["format"]).lower()
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
