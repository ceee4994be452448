"""Patient ids, extracted from image ids."""

import re
from pathlib import Path

import pandas as pd

from cxrlt_cli.errors import UserError, listed


def patients_of_ids(pattern: str, ids: pd.Series, path: Path) -> pd.Series:
    """(N,) patient ids.

    Args:
        pattern: of the image id, as `{patient}_{n}.png`: each {...} takes one or more characters, as few as it can.
        ids: (N,) image ids.
        path: their file, for messages.

    Raises:
        UserError: an id does not fit.
    """
    parts = re.split(r"(\{\w+\})", pattern)
    fields = ["(?P<patient>.+?)" if part == "{patient}" else ".+?" if part[:1] == "{" else re.escape(part) for part in parts]
    found = ids.str.extract(f"^{''.join(fields)}$", expand=True)["patient"]
    strange = ids[found.isna()]
    if len(strange):
        raise UserError(
            f"{path}: {len(strange)} of {len(ids)} image ids do not fit --patient-pattern {pattern!r}: {listed(strange, 3)}",
            "each {…} takes one or more characters; or name a column: --patient-column",
        )
    return found
