"""`NAME.failed.csv`: what could not be read, and why. It stands beside the artifact that lacks it."""

import csv
from collections.abc import Sequence
from pathlib import Path

from cxrlt_cli.artifacts.files import replacing


def write_failures(path: Path, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Writes the list, or removes an earlier one where nothing failed. Raises UserError where it cannot be written."""
    if not rows:
        path.unlink(missing_ok=True)
        return
    with replacing(path) as aside, aside.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def read_failures(path: Path) -> list[list[str]]:
    """The rows of such a list, without its header; empty where there is none."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.reader(file))[1:]
