"""`ensembles/NAME.json`: which members are merged, with which weights, and what they were chosen on."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from cxrlt_cli.artifacts.files import write_text
from cxrlt_cli.artifacts.json_files import read_figures
from cxrlt_cli.artifacts.parsing import as_json, parse
from cxrlt_cli.artifacts.provenance import Provenance

FORMAT, VERSION = "cxrlt ensemble", 1


@dataclass(frozen=True)
class EnsembleMember:
    """One of the merged predictions.

    Attributes:
        name: as the user gave it.
        runs: the runs whose scores it holds; several if it was merged before.
        weight: not negative; the weights of an ensemble sum to 1.
        file: its predictions, on which it was evaluated.
        sha256: of that file.
        views: number of test-time augmentation views merged in it.
        mean_ap: on the validation split, None if it was not evaluated.
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
class EnsembleHeader:
    """How an ensemble was chosen.

    Attributes:
        classes: class names.
        select: all (weights as given) or greedy.
        split: that the members score; empty if they differ.
        mean_ap: of the ensemble on the validation split, None without its labels.
        steps: of the greedy selection: the member added, and the mAP after it.
        provenance: of the file.
    """

    classes: list[str] = field(default_factory=list)
    select: str = "all"
    split: str = ""
    mean_ap: float | None = None
    steps: list[dict[str, Any]] = field(default_factory=list)
    provenance: Provenance = field(default_factory=Provenance)


@dataclass(frozen=True)
class Ensemble:
    """Members, how they are merged (`geomean`, `mean` or `logits`), and how they were chosen."""

    members: list[EnsembleMember]
    merge: str
    header: EnsembleHeader


def write_ensemble(path: Path, ensemble: Ensemble) -> None:
    """Writes an ensemble. Raises UserError where the folder cannot be written to."""
    content = {"format": FORMAT, "version": VERSION, "merge": ensemble.merge, "members": as_json(ensemble.members)}
    content |= as_json(ensemble.header)
    write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def read_ensemble(path: Path) -> Ensemble:
    """Reads an ensemble.

    Raises:
        UserError: not there, damaged, not an ensemble, or without a member that has a weight.
    """
    command = "cxrlt ensemble"
    content = read_figures(path, FORMAT, VERSION, command)
    hint = f"make it with: {command}"
    saved = parse(_Saved, content, path, hint)
    return Ensemble(saved.members, saved.merge, parse(EnsembleHeader, content, path, hint))


@dataclass(frozen=True)
class _Saved:
    """What the file must hold besides the header."""

    members: list[EnsembleMember]
    merge: Literal["geomean", "mean", "logits"]

    def __post_init__(self) -> None:
        if not any(member.weight for member in self.members):
            raise ValueError("no member has a weight")
