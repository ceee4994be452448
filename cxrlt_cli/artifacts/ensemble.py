"""`ensembles/NAME.json`: which members are merged, with which weights, and what they were chosen on."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cxrlt_cli.artifacts.files import write_text
from cxrlt_cli.errors import UserError, listed, reason

FORMAT, VERSION = "cxrlt ensemble", 1


@dataclass(frozen=True)
class EnsembleMember:
    """One of the merged.

    Attributes:
        name: as the user gave it.
        runs: the runs whose scores it holds; several where it was merged before.
        weight: not negative; the weights of an ensemble sum to 1.
        file: its predictions, on which it was judged.
        sha256: of that file.
        views: that were merged in it.
        mean_ap: on the validation split, None where it was not judged.
    """

    name: str
    runs: list[str]
    weight: float
    file: str
    sha256: str
    views: int
    mean_ap: float | None


@dataclass(frozen=True)
class Ensemble:
    """Members, how they are merged (`geomean`, `mean` or `logits`), and what else there is to tell."""

    members: list[EnsembleMember]
    merge: str
    header: dict[str, Any]


def write_ensemble(path: Path, ensemble: Ensemble) -> None:
    """Writes an ensemble. Raises UserError where the folder cannot be written to."""
    members = [asdict(member) for member in ensemble.members]
    content = {"format": FORMAT, "version": VERSION, "merge": ensemble.merge, "members": members, **ensemble.header}
    write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def read_ensemble(path: Path) -> Ensemble:
    """Reads an ensemble.

    Raises:
        UserError: not there, damaged, not an ensemble, or with weights that are none.
    """
    hint = "make it with: cxrlt ensemble"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as an ensemble: {reason(error)}", hint) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT or content.get("version") != VERSION:
        raise UserError(f"{path} is not {FORMAT} of version {VERSION}", hint)
    try:
        members = [EnsembleMember(**member) for member in content.pop("members")]
        merge = str(content.pop("merge"))
    except (KeyError, TypeError) as error:
        raise UserError(f"{path} is damaged: {reason(error)}", hint) from error
    wrong = [member.name for member in members if not isinstance(member.weight, int | float) or not 0 <= member.weight <= 1]
    if wrong or merge not in ("geomean", "mean", "logits") or not any(member.weight for member in members):
        raise UserError(f"{path} is damaged: {listed(wrong) or merge}", hint)
    return Ensemble(members, merge, content)
