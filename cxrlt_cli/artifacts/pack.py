"""`packs/NAME.zip`: a model with all that scoring elsewhere needs, and a card that says what it is.

Members: `pack.json`, `weights/N.safetensors` of each run (and `weights/N.fusion.safetensors`), and texts for people:
`evaluation.json`, `card.md`, `card.html`. No member has provenance: hosts, paths, users and ids stay where they are.
"""

import hashlib
import json
import re
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from cxrlt_cli.artifacts.calibration import Calibration, CalibrationHeader, sound_fit
from cxrlt_cli.artifacts.data_sources import DATA_SOURCES, DataSource
from cxrlt_cli.artifacts.files import replacing
from cxrlt_cli.artifacts.parsing import as_json, damage_reported, parse, plain
from cxrlt_cli.artifacts.run_config import BestCheckpoint
from cxrlt_cli.artifacts.untrusted_spec import check_spec
from cxrlt_cli.errors import UserError, listed
from cxrlt_cli.paths import is_file, refuse_no_file

FORMAT, VERSION = "cxrlt pack", 1
#: What to do about a pack that cannot be used.
PACK_HINT = "get the file again from where it came; cxrlt pack makes such files"
_MAIN = "pack.json"
_TEXTS = (_MAIN, "evaluation.json", "card.md", "card.html")
_WEIGHTS = re.compile(r"weights/\d{1,3}(\.fusion)?\.safetensors")
_MOST_TEXT = 64 << 20  # bytes of a text, unpacked
_TIME = (1980, 1, 1, 0, 0, 0)  # of every member: the same model gives the same bytes


@dataclass(frozen=True)
class PackedRun:
    """A run of a pack: its name, its weight in the ensemble, and its checkpoint."""

    name: str
    weight: float
    checkpoint: BestCheckpoint


@dataclass(frozen=True)
class Pack:
    """A model that can be scored with elsewhere.

    Attributes:
        name: of the run or ensemble.
        runs: one or more, of the same classes and pixels.
        merge: `geomean`, `mean` or `logits`: how the runs' logits are merged.
        calibration: of the merged logits; None without one.
        thresholds: class -> probability at or above which an image is called positive.
        data_sources: what the runs learned from; None where they do not record it.
    """

    name: str
    runs: list[PackedRun]
    merge: str
    calibration: Calibration | None = None
    thresholds: dict[str, float] = field(default_factory=dict)
    data_sources: list[DataSource] | None = None


def pack_members(pack: Pack, texts: dict[str, str]) -> dict[str, bytes]:
    """Name in the zip -> content.

    Args:
        pack: the model.
        texts: name -> content of the texts for people.
    """
    from safetensors.torch import save

    members = {name: text.encode() for name, text in texts.items()}
    about = {DATA_SOURCES: json.dumps(as_json(pack.data_sources))}  # weights may be taken out of the pack, as for --weights
    runs = []
    for number, run in enumerate(pack.runs):
        members[f"weights/{number}.safetensors"] = save(_own_memory(run.checkpoint.model), about)
        if run.checkpoint.fusion is not None:
            members[f"weights/{number}.fusion.safetensors"] = save(_own_memory(run.checkpoint.fusion), about)
        checkpoint = {key: value for key, value in run.checkpoint.content.items() if key not in ("model", "fusion")}
        described = {**plain(run.checkpoint.config), "provenance": {}}
        runs.append({"name": run.name, "weight": run.weight, "checkpoint": {**checkpoint, "described": described}})
    fit = pack.calibration
    content = {
        "format": FORMAT,
        "version": VERSION,
        "name": pack.name,
        "merge": pack.merge,
        "data_sources": as_json(pack.data_sources),
        "calibration": fit and {"name": fit.path.stem, "method": fit.method, "fitted": fit.fitted},
        "thresholds": pack.thresholds,
        "runs": runs,
        "sha256": {name: _sha256(own) for name, own in members.items()},
    }
    return {_MAIN: (json.dumps(content, indent=1, allow_nan=False) + "\n").encode(), **members}


def write_pack(path: Path, members: dict[str, bytes]) -> None:
    """Writes the zip; it appears when it is whole. Raises UserError where the folder cannot be written to."""
    with replacing(path) as aside, zipfile.ZipFile(aside, "w") as archive:
        for name, content in members.items():
            entry = zipfile.ZipInfo(name, _TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED if name in _TEXTS else zipfile.ZIP_STORED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)


def _own_memory(state: dict[str, Any]) -> dict[str, Any]:
    """Tensors that share no memory, as safetensors needs them."""
    return {name: value.detach().clone().contiguous() for name, value in state.items()}


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def read_pack(path: Path) -> Pack:
    """Reads a pack, which may come from anywhere: names, sizes and digests are checked, and nothing is unpacked to disk.

    Raises:
        UserError: not there, not a pack, damaged, of another version, or with a member that a pack does not have or that is
            larger than it says.
    """
    refuse_no_file(path, PACK_HINT)
    if not is_file(path):
        raise UserError(f"{path} is not there", "name a file that cxrlt pack wrote")
    with damage_reported(path, PACK_HINT):
        if not zipfile.is_zipfile(path):
            raise UserError(f"{path} is not a pack: it is no zip file", PACK_HINT)
        with zipfile.ZipFile(path) as archive:
            _check_members(path, archive)
            members = {name: archive.read(name) for name in archive.namelist()}
        content = json.loads(members.pop(_MAIN))
        if not isinstance(content, dict) or (content.get("format"), content.get("version")) != (FORMAT, VERSION):
            raise UserError(f"{path} is not {FORMAT} of version {VERSION}", PACK_HINT)
        saved = parse(_Saved, content, path, PACK_HINT)
        different = sorted(set(saved.sha256) ^ set(members)) or [
            name for name, own in members.items() if saved.sha256[name] != _sha256(own)
        ]
        if different:
            raise ValueError(f"not as it was written (SHA-256): {listed(different)}")
        runs = [_run(members, number, run, path) for number, run in enumerate(saved.runs)]
        fit = saved.calibration
        calibration = None
        if fit:
            header = CalibrationHeader(data_sources=saved.data_sources)
            calibration = Calibration(fit.method, fit.fitted, header, Path(f"{fit.name}.json"))
        return Pack(saved.name, runs, saved.merge, calibration, saved.thresholds, saved.data_sources)


def _check_members(path: Path, archive: zipfile.ZipFile) -> None:
    """Raises UserError for a member that `write_pack` does not write. Weights are stored as they are, so they cannot grow."""
    entries = archive.infolist()
    names = [entry.filename for entry in entries]
    strange = [name for name in names if name not in _TEXTS and not _WEIGHTS.fullmatch(name)]
    if strange:
        raise UserError(f"{path} is not a pack: it holds {listed(map(ascii, strange))}", PACK_HINT)
    if _MAIN not in names or len(set(names)) < len(names):
        raise UserError(f"{path} is not a pack: it has no {_MAIN}, or a member twice", PACK_HINT)
    for entry in entries:
        stored = entry.compress_type == zipfile.ZIP_STORED and entry.compress_size == entry.file_size
        too_large = entry.file_size > _MOST_TEXT if entry.filename in _TEXTS else not stored
        if too_large or entry.flag_bits & 1:
            raise UserError(f"{path} is not a pack: {entry.filename} is too large, compressed or encrypted", PACK_HINT)
    if sum(entry.compress_size for entry in entries) > path.stat().st_size:
        raise UserError(f"{path} is not a pack: its members overlap", PACK_HINT)


def _run(members: dict[str, bytes], number: int, run: "_SavedRun", path: Path) -> PackedRun:
    """A run with its weights. Safetensors holds numbers only: reading them runs no code."""
    from safetensors.torch import load

    weights, fusion = f"weights/{number}.safetensors", f"weights/{number}.fusion.safetensors"
    if weights not in members:
        raise ValueError(f"{weights} is missing")
    content = {**run.checkpoint, "model": load(members[weights])}
    content |= {"fusion": load(members[fusion])} if fusion in members else {}
    checkpoint = parse(BestCheckpoint, content, path, PACK_HINT)
    check_spec(checkpoint.spec, checkpoint.model)
    return PackedRun(run.name, run.weight, checkpoint)


@dataclass(frozen=True)
class _SavedRun:
    name: str
    weight: float
    checkpoint: dict[str, Any]


@dataclass(frozen=True)
class _SavedFit:
    name: str
    method: str
    fitted: dict[str, dict[str, Any]]

    def __post_init__(self) -> None:
        if not all(sound_fit(entry) for entry in self.fitted.values()):
            raise ValueError("calibration has a class whose calibration no fit gives")
        if not self.name or Path(self.name).name != self.name:
            raise ValueError(f"calibration.name is {self.name!r:.60}, not a name")


@dataclass(frozen=True)
class _Saved:
    """What `pack.json` must hold."""

    name: str
    merge: Literal["geomean", "mean", "logits"]
    runs: list[_SavedRun]
    sha256: dict[str, str]
    calibration: _SavedFit | None = None
    thresholds: dict[str, float] = field(default_factory=dict)
    data_sources: list[DataSource] | None = None

    def __post_init__(self) -> None:
        weights = [run.weight for run in self.runs]
        if not weights or min(weights) < 0 or max(weights) == 0:
            raise ValueError("it has no run with a weight, or a negative weight")
        if len({run.name for run in self.runs}) < len(self.runs):
            raise ValueError("it has a run twice")
