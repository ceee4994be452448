"""`ensembles/NAME.json`: which members are merged, with which weights, and what they were chosen on."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from cxrlt_cli.artifacts.files import write_text
from cxrlt_cli.artifacts.json_files import read_figures
from cxrlt_cli.artifacts.parsing import parse
from cxrlt_cli.artifacts.provenance import Provenance

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

    def __post_init__(self) -> None:
        if not 0 <= self.weight <= 1:
            raise ValueError(f"the weight of {self.name} is {self.weight}, not within 0 … 1")


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
    command = "cxrlt ensemble"
    content = read_figures(path, FORMAT, VERSION, command)
    said = parse(_Saved, content, path, f"make it with: {command}")
    return Ensemble(said.members, said.merge, {key: value for key, value in content.items() if key not in ("members", "merge")})


@dataclass(frozen=True)
class _Saved:
    """What the file must hold."""

    members: list[EnsembleMember]
    merge: Literal["geomean", "mean", "logits"]
    split: str = ""
    select: str = "all"
    mean_ap: float | None = None
    provenance: Provenance = field(default_factory=Provenance)

    def __post_init__(self) -> None:
        if not any(member.weight for member in self.members):
            raise ValueError("no member has a weight")
