"""What must not leave the machine with a model: hosts, paths, users, ids of images and patients."""

import getpass
import html
import json
import re
import socket
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cxrlt_cli.artifacts.dataset import Dataset
from cxrlt_cli.artifacts.provenance import Provenance
from cxrlt_cli.artifacts.run_config import BestCheckpoint, RunConfig, RunLabels
from cxrlt_cli.config.encoder_name import parse_encoder
from cxrlt_cli.errors import UserError

_OF_THIS_MACHINE = ("name", "dataset", "embeddings", "features", "hard_from", "resume", "overwrite", "device", "rank_timeout")
_PUBLIC_WEIGHTS = ("none", "imagenet", "pretrained")
#: What `encoder_weights` of a shared run is where it started from a file or another run.
OTHER_WEIGHTS = "other"
_ID_COLUMNS = ("image_id", "patient_id", "study_id")
_WORD = re.compile(r"[^\s\"'`|,;<>()\[\]{}&]+")


def without_traces(best: BestCheckpoint) -> BestCheckpoint:
    """A checkpoint without what says where, when and from which files it was made."""
    config, origin = best.config, best.config.encoder_origin
    options = {name: value for name, value in config.options.items() if name not in _OF_THIS_MACHINE and not _is_path(value)}
    weights = config.encoder_weights
    shared = RunConfig(
        options=options,
        encoder_weights=weights if weights in (None, *_PUBLIC_WEIGHTS) else OTHER_WEIGHTS,
        encoder_origin=origin and replace(origin, repository=_public_name(origin.repository)),
        classes=config.classes,
        pixels=config.pixels,
        label_texts=config.label_texts and _without_folder(config.label_texts),
        features=config.features and replace(config.features, path=""),
        provenance=Provenance(),
        weight_count=config.weight_count,
        data_sources=config.data_sources,
    )
    return replace(best, spec={**best.spec, "encoder": public_encoder(str(best.spec["encoder"]))}, config=shared)


def public_encoder(name: str) -> str:
    """The value of `--encoder` with the last part of a folder in place of its path; `spec` describes what is built."""
    parsed = parse_encoder(name)
    if parsed.place != "folder":
        return name
    return name.replace(parsed.source, f"./{parsed.short}")


def _without_folder(texts: RunLabels) -> RunLabels:
    encoder = {key: _public_name(value) if isinstance(value, str) else value for key, value in texts.encoder.items()}
    return replace(texts, encoder=encoder)


def _public_name(value: str) -> str:
    """The last part of what is a folder on this machine; names on a hub and addresses as they are."""
    hub = re.fullmatch(r"[\w.-]+/[\w.-]+", value) and not value.startswith(".")
    local = value.startswith(("/", "~", ".")) or "\\" in value or Path(value).is_absolute()
    return Path(value).name if local or ("/" in value and not hub and "://" not in value) else value


def _is_path(value: Any) -> bool:
    """Whether an option names a file, or may."""
    values = value if isinstance(value, list) else [value]
    return any(isinstance(one, str) and ("/" in one or "\\" in one or one.startswith("~")) for one in values)


@dataclass(frozen=True)
class Traces:
    """What is looked for in a pack before it is written.

    Attributes:
        paths: folders of this machine, wherever they are part of a text.
        words: its name and that of its user, as words of texts that people chose.
        ids: of images, studies and patients, as words.
    """

    paths: list[str]
    words: list[str]
    ids: frozenset[str]


def traces_of(root: Path, datasets: list[Dataset]) -> Traces:
    """The traces of this machine, a workspace and the datasets of a model."""
    folders = {root.resolve(), Path.cwd(), Path.home()}
    paths = [str(path) for path in sorted(folders) if len(path.parts) > 1]
    columns = (dataset.table[name].dropna() for dataset in datasets for name in _ID_COLUMNS)
    ids = {str(value) for column in columns for value in column.unique()}
    return Traces(paths, [socket.gethostname(), getpass.getuser()], frozenset(name for name in ids if _is_telling(name)))


def _is_telling(name: str) -> bool:
    """Whether an id is more than a short number, which any table of metrics has."""
    return len(name) > 3 and not (name.isdecimal() and len(name) < 6)


def refuse_traces(texts: dict[str, str], chosen: dict[str, str], traces: Traces) -> None:
    """Refuses a pack whose texts name this machine, its user, a folder or an id.

    Args:
        texts: name of a member -> its text.
        chosen: what a person named -> the name or sentence.
        traces: what is looked for.

    Raises:
        UserError: what was found, and where.
    """
    for member, text in texts.items():
        for path in traces.paths:
            if any(form in text for form in (path, json.dumps(path)[1:-1], html.escape(path))):
                _refuse(member, path, "a folder of this machine")
        found = sorted({word.rstrip(".:") for word in _WORD.findall(text)} & traces.ids)
        if found:
            _refuse(member, found[0], "an id of the dataset")
    for what, text in chosen.items():
        for word in traces.words:
            if len(word) > 1 and re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text):
                _refuse(what, word, "the name of this machine or of its user")


def _refuse(where: str, found: str, what: str) -> None:
    raise UserError(
        f"the pack is not written: {where} would hold {found!r}, {what}",
        "rename the run, ensemble or calibration that has it in its name, or change --purpose or --users",
    )
