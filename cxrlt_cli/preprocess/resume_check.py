"""Checks that a resumed cache has the source and the pixel settings that it was started with."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cxrlt_cli.artifacts.source_table import SourceTable
from cxrlt_cli.errors import UserError, listed

_BLOCK = 4096  # rows hashed at a time
_HINT = "repeat the first command, or start again with --overwrite, or give another --name"


def identity_of(source: SourceTable, part: tuple[int, int]) -> dict[str, Any]:
    """Identifies a whole source, independent of the shard: its kind, and hashes of its images and labels."""
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
    """Raises UserError if the pixel settings differ from those of the file."""
    changed = [f"--{key}: {before.get(key)!r} then, {now[key]!r} now" for key in now if before.get(key) != now[key]]
    if changed:
        raise UserError(f"{path} was started with different settings: {'; '.join(changed)}", _HINT)


def refuse_other_source(
    path: Path, before: dict[str, Any], now: dict[str, Any], ids: list[str], images: tuple[pd.DataFrame, pd.DataFrame | None]
) -> None:
    """Raises UserError if a file was started with another list of images. Labels may change: they are only in the table.

    Args:
        path: the image file.
        before: the identity of its source.
        now: that of this one.
        ids: of the images in the file.
        images: the table of this source's images that are there, and that of the file; None where it is not finished.
    """
    changed = _changed(before, now, ("kind", "images_sha256"))
    if not changed and ids != images[0]["image_id"].tolist():
        changed = ["which of the images are there"]
    if changed:
        names = _different(ids, *images)
        which = f": {listed(names)}" if names else ""
        raise UserError(f"{path} was started from a different source: {' and '.join(changed)} changed since{which}", _HINT)


def _different(ids: list[str], now: pd.DataFrame, before: pd.DataFrame | None) -> list[str]:
    """The images that are new, gone, or in another file; as far as is known which file each was in."""
    there, own = set(ids), set(now["image_id"])
    names = [f"{name} (gone)" for name in ids if name not in own]
    names += [f"{name} (new)" for name in now["image_id"] if name not in there]
    files = {} if before is None else dict(zip(before["image_id"], before["file"], strict=True))
    pairs = zip(now["image_id"], now["file"], strict=True)
    return names + [f"{name} ({files[name]} then, {file} now)" for name, file in pairs if files.get(name, file) != file]


def refuse_other_shard(path: Path, first: Path, settings: list[dict[str, Any]], identities: list[dict[str, Any]]) -> None:
    """Raises UserError if a shard differs from the first one; `settings` and `identities` are pairs (first, shard)."""
    unlike = [f"--{key} {settings[0].get(key)!r} there, {value!r} here" for key, value in settings[1].items()
              if settings[0].get(key) != value]  # fmt: skip
    unlike += [f"{what} changed between them" for what in _changed(identities[0], identities[1], tuple(_NAMES))]
    if unlike:
        raise UserError(
            f"{path} differs from {first}: {'; '.join(unlike)}", "make it again: cxrlt cache … --shard i/n --overwrite"
        )


_NAMES = {"kind": "the kind of source", "images_sha256": "the list of images", "labels_sha256": "the labels or patients"}


def _changed(before: dict[str, Any], now: dict[str, Any], keys: tuple[str, ...]) -> list[str]:
    return [_NAMES[key] for key in keys if before.get(key) != now[key]]
