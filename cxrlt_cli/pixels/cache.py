"""The stage `cache`: a source's image files become one image file, its table stands beside."""

import csv
import hashlib
import json
import os
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cxrlt_cli.artifacts.files import exclusive, refuse_existing, replacing, sync_folder
from cxrlt_cli.artifacts.images import Layout, PixelWriter, create_images, read_attributes, read_done, read_layout
from cxrlt_cli.artifacts.provenance import record
from cxrlt_cli.artifacts.source_table import SourceTable, write_source_table
from cxrlt_cli.config.cache import CacheConfig
from cxrlt_cli.console import progress, say, warn
from cxrlt_cli.errors import UserError, listed, reported_os_errors
from cxrlt_cli.options import saved
from cxrlt_cli.pixels.settings import PixelSettings
from cxrlt_cli.pixels.workers import decode_rows
from cxrlt_cli.signals import StopRequest, stop_requests
from cxrlt_cli.sources.listing import Listing
from cxrlt_cli.sources.read import read_source
from cxrlt_cli.workspace import Workspace

_SECONDS_BETWEEN_MARKS = 0.5  # at most this much decoding is done again after a kill


@dataclass(frozen=True)
class _Files:
    """The files of one cache; `part` is the image file while it is not complete."""

    images: Path
    part: Path
    table: Path
    failed: Path


def cache_source(config: CacheConfig, workspace: Workspace) -> None:
    """Caches one source.

    Raises:
        UserError: bad input or output; what was done so far is kept for `--resume`.
        Stopped: by SIGTERM or SIGUSR1, after the state is safe.
    """
    folder, name = workspace.images, config.artifact_name
    files = _Files(folder / f"{name}.h5", folder / f"{name}.h5.part", folder / f"{name}.parquet", folder / f"{name}.failed.csv")
    if not config.resume:
        refuse_existing(files.images, config.overwrite, resumable=True)
        refuse_existing(files.part, config.overwrite, resumable=True)
    listing = read_source(config)
    present = listing.source.table["file"].notna().to_numpy()
    _refuse_missing(listing, present, config.allow_missing)
    began = time.monotonic()
    with exclusive(folder / f".{name}.lock"), stop_requests() as stop:
        layout, work = _open(config, files, listing.source.rows(present))
        failures = _decode(layout, work, listing.root, config, stop)
        _finish(config, files, layout, _Outcome(listing, present, work, failures))
    _report(files, layout, failures, time.monotonic() - began)


def _refuse_missing(listing: Listing, present: np.ndarray, allowed: bool) -> None:
    count, total = int(present.sum()), len(present)
    if listing.unlisted:
        warn(f"{listing.unlisted} image files are named by no row of {listing.tables[0]}: left out")
    if not count:
        raise UserError(
            f"none of the {total} images that {listing.tables[0]} lists is under {listing.root}", "see --source, --images"
        )
    if count < total and not allowed:
        absent = listing.source.table["image_id"][~present]
        raise UserError(
            f"{listing.tables[0]} lists {total} images, {total - count} of them are not under {listing.root}: {listed(absent)}",
            f"--allow-missing caches the {count} that are there",
        )


def _open(config: CacheConfig, files: _Files, source: SourceTable) -> tuple[Layout, SourceTable]:
    """The image file to fill: a new one, or the one to go on with. The rows of the source get their row numbers."""
    source.table["row"] = np.arange(len(source.table))
    settings = PixelSettings(config.size, config.fit)
    identity = {"kind": source.kind, "rows_sha256": _rows_hash(source.table), "labels_sha256": _labels_hash(source)}
    existing = next((path for path in (files.part, files.images) if path.exists()), None)
    if not config.resume or existing is None:
        if config.resume:
            say(f"nothing to resume at {files.part}: starting")
        return create_images(files.part, list(source.table["image_id"]), config.size, settings.saved(), identity), source
    layout = read_layout(existing)
    _refuse_other(existing, layout.settings, settings.saved())
    _refuse_other(existing, read_attributes(existing, "source"), identity)
    return layout, source


def _rows_hash(table: pd.DataFrame) -> str:
    """Identifies the list of images: ids and files, in order."""
    rows = table[["image_id", "file"]].to_numpy().tolist()
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def _labels_hash(source: SourceTable) -> str:
    """Identifies what the table says of the images: patients, classes and labels."""
    said = json.dumps([source.classes, source.table["patient_id"].tolist()]).encode()
    return hashlib.sha256(said + source.labels.tobytes()).hexdigest()


def _refuse_other(path: Path, before: dict[str, Any], now: dict[str, Any]) -> None:
    changed = [f"{key}: {before.get(key)!r} then, {now[key]!r} now" for key in now if before.get(key) != now[key]]
    if changed:
        raise UserError(
            f"{path} was begun otherwise: {'; '.join(changed)}",
            "repeat the command of the start, or begin again with --overwrite, or give another --name",
        )


def _decode(layout: Layout, source: SourceTable, root: Path, config: CacheConfig, stop: StopRequest) -> dict[int, str]:
    """Fills the rows that have no pixels yet; returns row -> reason of those that cannot be read."""
    done = read_done(layout)
    files = {
        int(row): root / file for row, file in zip(source.table["row"], source.table["file"], strict=True) if not done[row]
    }
    if done.any():
        say(f"{int(done.sum())} of {len(done)} images are done, {len(files)} to do")
    failures: dict[int, str] = {}
    if not files:
        return failures
    blocks = decode_rows(layout, PixelSettings(config.size, config.fit), files, config.workers)
    label = f"cache {config.artifact_name}"
    with closing(PixelWriter(layout)) as writer, closing(blocks), progress(label, len(files)) as bar:
        fresh: list[int] = []
        marked = time.monotonic()
        try:
            for block in blocks:
                fresh += [image.row for image in block if not image.error]
                failures.update((image.row, image.error) for image in block if image.error)
                bar.advance(len(block))
                if stop:
                    break
                if time.monotonic() - marked > _SECONDS_BETWEEN_MARKS:
                    writer.mark_done(fresh)
                    fresh, marked = [], time.monotonic()
        finally:  # also where a worker failed: what is finished is kept
            writer.mark_done(fresh)
        if stop:
            raise stop.stopped(f"{layout.path} keeps what is done; go on with --resume")
    return failures


@dataclass(frozen=True)
class _Outcome:
    listing: Listing
    present: np.ndarray
    source: SourceTable
    failures: dict[int, str]


def _finish(config: CacheConfig, files: _Files, layout: Layout, outcome: _Outcome) -> None:
    """Writes the table and the list of failures, then gives the image file its name."""
    done = read_done(layout)
    if not done.any():
        reasons = listed(sorted(set(outcome.failures.values())))
        files.part.unlink(missing_ok=True)
        raise UserError(f"none of the {len(done)} images can be read: {reasons}", "see --source and --images")
    provenance = record(saved(config), outcome.listing.tables)
    header: dict[str, Any] = {"images": files.images.name, "settings": layout.settings, "provenance": provenance}
    header |= {
        "rows_sha256": _rows_hash(outcome.source.table),
        "listed": len(outcome.present),
        "unreadable": len(outcome.failures),
    }
    _write_failures(files.failed, outcome)
    write_source_table(files.table, outcome.source.rows(done), header)
    if layout.path != files.images:
        with reported_os_errors(f"cannot write {files.images}"):
            os.replace(layout.path, files.images)
            sync_folder(files.images.parent)


def _write_failures(path: Path, outcome: _Outcome) -> None:
    """`NAME.failed.csv`: every listed image without pixels and why."""
    absent = outcome.listing.source.table[~outcome.present]
    rows = [(image, "", "missing") for image in absent["image_id"]]
    table = outcome.source.table
    rows += [(table["image_id"][row], table["file"][row], reason) for row, reason in sorted(outcome.failures.items())]
    if not rows:
        path.unlink(missing_ok=True)
        return
    with replacing(path) as aside, aside.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("image_id", "file", "reason"))
        writer.writerows(rows)


def _report(files: _Files, layout: Layout, failures: dict[int, str], seconds: float) -> None:
    done = int(read_done(read_layout(files.images)).sum())
    say(f"{done} images of {layout.size} px in {files.images} after {seconds:.1f} s")
    if failures:
        warn(f"{len(failures)} images cannot be read: {listed(sorted(set(failures.values())), 3)}")
    if files.failed.exists():
        say(f"images without pixels, with the reason: {files.failed}")
