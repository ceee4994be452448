"""Options that are a text with a grammar of its own: the text in, its value out."""

import math
from typing import Any

from cxrlt_cli.errors import UserError
from cxrlt_cli.options import flag


def groups_flag() -> Any:
    """The option of every command that tells head, medium and tail apart."""
    return flag(
        "0.10,0.01",
        "A class is head above the first share of training positives, medium above the second, tail else.",
        metavar="HIGH,LOW",
    )


def parse_groups(text: str) -> tuple[float, float]:
    """High and low. Raises UserError where they are not two shares in that order."""
    try:
        high, low = (float(part) for part in text.split(","))
    except ValueError:
        high, low = 0.0, 0.0
    if not 0 <= low < high < 1:
        raise UserError(
            f"--groups {text!r} is not two shares, high and low, with 0 <= low < high < 1",
            "as in --groups 0.10,0.01: head above 10 %, medium above 1 %, tail else",
        )
    return high, low


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


def parse_weights(text: str, count: int) -> list[float]:
    """`--member-weights` as numbers, equal ones where it is empty.

    Raises:
        UserError: not as many numbers as members, or one that is negative or not finite, or all of them 0.
    """
    if not text:
        return [1.0] * count
    try:
        weights = [float(part) for part in text.split(",")]
    except ValueError:
        weights = []
    if len(weights) != count:
        raise UserError(f"--member-weights {text!r} is not a number for each of {count} members", "as in 0.5,0.3,0.2")
    if not all(0 <= weight < math.inf for weight in weights) or not sum(weights):
        raise UserError(f"--member-weights {text!r}: a weight is 0 or more, and not all are 0", "as in 0.5,0.3,0.2")
    return weights
