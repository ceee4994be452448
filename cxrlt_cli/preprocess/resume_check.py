"""What a cache was begun with: work that goes on must go on with the same."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from cxrlt_cli.artifacts.source_table import SourceTable
from cxrlt_cli.errors import UserError

_BLOCK = 4096  # rows hashed at once
_HINT = "repeat the command of the start, or begin again with --overwrite, or give another --name"


def identity_of(source: SourceTable, part: tuple[int, int]) -> dict[str, Any]:
    """Identifies a whole source, whichever shard of it is cached: its kind, its images and what it says of them."""
    images, labels = hashlib.sha256(), hashlib.sha256(json.dumps(source.classes).encode())
    for start in range(0, len(source.table), _BLOCK):
        rows = source.table.iloc[start : start + _BLOCK]
        columns = rows[["image_id", "file", "inverted"]]
        images.update(json.dumps(columns.astype(object).where(columns.notna(), None).to_numpy().tolist()).encode())
        labels.update(json.dumps(rows["patient_id"].tolist()).encode())
    labels.update(np.ascontiguousarray(source.labels).data)
    identity = {"kind": source.kind, "images_sha256": images.hexdigest(), "labels_sha256": labels.hexdigest()}
    return identity | ({"shard": f"{part[0]}/{part[1]}"} if part[1] > 1 else {})


def refuse_other_pixels(path: Path, before: dict[str, Any], now: dict[str, Any]) -> None:
    """Raises UserError where pixels would be made otherwise than those in the file."""
    changed = [f"--{key}: {before.get(key)!r} then, {now[key]!r} now" for key in now if before.get(key) != now[key]]
    if changed:
        raise UserError(f"{path} was begun otherwise: {'; '.join(changed)}", _HINT)


def refuse_other_source(path: Path, before: dict[str, Any], now: dict[str, Any], same_ids: bool) -> None:
    """Raises UserError where a file was begun from another list of images. Labels may change: they are in the table alone."""
    changed = _changed(before, now, ("kind", "images_sha256"))
    if not changed and not same_ids:
        changed = ["which of the images are there"]
    if changed:
        raise UserError(f"{path} was begun from something else: {' and '.join(changed)} changed since", _HINT)


def refuse_other_shard(path: Path, first: Path, settings: list[dict[str, Any]], identities: list[dict[str, Any]]) -> None:
    """Raises UserError where a shard was not made as the first was: settings and identities are the first's and its own."""
    unlike = [f"--{key} {settings[0].get(key)!r} there, {value!r} here" for key, value in settings[1].items()
              if settings[0].get(key) != value]  # fmt: skip
    unlike += [f"{what} changed between them" for what in _changed(identities[0], identities[1], tuple(_NAMES))]
    if unlike:
        raise UserError(
            f"{path} was not made as {first} was: {'; '.join(unlike)}", "make it again: cxrlt cache … --shard i/n --overwrite"
        )


_NAMES = {"kind": "the kind of source", "images_sha256": "the list of images", "labels_sha256": "the labels or patients"}


def _changed(before: dict[str, Any], now: dict[str, Any], keys: tuple[str, ...]) -> list[str]:
    return [_NAMES[key] for key in keys if before.get(key) != now[key]]
