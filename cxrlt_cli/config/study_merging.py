"""`--study`: how the images of a study are merged."""

import math

from cxrlt_cli.errors import UserError

STUDY_HELP = (
    "Merge the scores of a study's images, as --merge says, and give each image its study's: none, equal, or the weights of a "
    "frontal and a lateral image, as 2:1."
)


def parse_study(text: str) -> tuple[float, float] | None:
    """The weights of a frontal and a lateral image; None for `none`.

    Raises:
        UserError: neither `none`, `equal` nor two weights, or both of them 0.
    """
    if text == "none":
        return None
    try:
        frontal, lateral = (1.0, 1.0) if text == "equal" else (float(part) for part in text.split(":"))
    except ValueError:
        frontal = lateral = -1.0
    if not (0 <= frontal < math.inf and 0 <= lateral < math.inf and frontal + lateral > 0):
        raise UserError(f"--study {text!r} is neither none, equal nor two weights", "as in --study 2:1, frontal : lateral")
    return frontal, lateral
