"""`--groups`: which classes are head, medium and tail."""

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
