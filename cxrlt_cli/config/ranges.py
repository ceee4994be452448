"""Range checks that several options classes share; each names the flag."""

import math
from collections.abc import Iterable
from typing import Any

from cxrlt_cli.errors import UserError
from cxrlt_cli.options import flag_of


def check_seed(seed: int) -> None:
    """Raises UserError where a seed is not within 0 ... 2^63 - 1."""
    if not 0 <= seed < 1 << 63:
        raise UserError(f"--seed {seed} is not within 0 … 2^63 - 1", "any integer of that range will do")


def check_positive(config: Any, names: Iterable[str]) -> None:
    """Raises UserError if an option is not finite and above 0; None is allowed."""
    for name in names:
        value = getattr(config, name)
        if value is not None and not 0 < value < math.inf:
            raise UserError(f"{flag_of(config, name)} {value} is not a number above 0", "see the command's --help")


def check_not_negative(config: Any, names: Iterable[str]) -> None:
    """Raises UserError where an option is not finite and at least 0; None is allowed."""
    for name in names:
        value = getattr(config, name)
        if value is not None and not 0 <= value < math.inf:
            raise UserError(f"{flag_of(config, name)} {value} is not a number of 0 or more", "see the command's --help")


def check_fractions(config: Any, names: Iterable[str]) -> None:
    """Raises UserError where an option is not at least 0 and below 1."""
    for name in names:
        value = getattr(config, name)
        if not 0 <= value < 1:
            raise UserError(f"{flag_of(config, name)} {value} is not a fraction of 0 … 1", "as in 0.1")
