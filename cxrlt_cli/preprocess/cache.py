"""The stage `cache`: decodes a source's image files into one HDF5 file, and writes its table next to it."""

import time
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from cxrlt_cli.artifacts.data_sources import PHANTOMS_MARK, DataSource
from cxrlt_cli.artifacts.failures import write_failures
from cxrlt_cli.artifacts.files import InputFile, clear_unfinished, exclusive, fingerprint, put_in_place, refuse_existing
from cxrlt_cli.artifacts.image_file import create_images, read_attributes, read_layout
from cxrlt_cli.artifacts.provenance import record
from cxrlt_cli.artifacts.row_access import RowWriter
from cxrlt_cli.artifacts.row_file import file_to_resume
from cxrlt_cli.artifacts.row_layout import Layout, read_done
from cxrlt_cli.artifacts.source_table import SourceHeader, SourceTable, read_source_table, write_source_table
from cxrlt_cli.config.cache import CacheConfig
from cxrlt_cli.console import progress, say, warn
from cxrlt_cli.errors import UserError, listed, reported_os_errors
from cxrlt_cli.options import saved
from cxrlt_cli.paths import exists, is_file, is_folder
from cxrlt_cli.preprocess.decode_workers import ImageFile, decode_rows
from cxrlt_cli.preprocess.missing_files import rows_present
from cxrlt_cli.preprocess.remarks import Remark, RemarkCounts
from cxrlt_cli.preprocess.resume_check import identity_of, refuse_other_pixels, refuse_other_source
from cxrlt_cli.preprocess.settings import PixelSettings
from cxrlt_cli.results import CachedImages
from cxrlt_cli.signals import StopRequest, stop_requests
from cxrlt_cli.sources.listing import Listing
from cxrlt_cli.sources.registry import label_columns, read_source
from cxrlt_cli.sources.table import TableColumns
from cxrlt_cli.sources.terms import agreements_of
from cxrlt_cli.workspace import Workspace, rows_of_shard

_SECONDS_BETWEEN_MARKS = 0.5  # after a kill, at most this many seconds of decoding are repeated


@dataclass(frozen=True)
class _Files:
    """The files of one cache; `part` is the image file while it is not complete."""

    images: Path
    part: Path
    table: Path
    failed: Path


@dataclass(frozen=True)
class _Work:
    """The work of one call: rows of this shard with a file, pixel settings, and the fingerprints of the source's tables."""

    listing: Listing
    present: np.ndarray
    source: SourceTable
    identity: dict[str, Any]
    settings: PixelSettings
    tables: list[InputFile]

    def files(self, rows: np.ndarray) -> list[ImageFile]:
        """The files of some rows."""
        chosen = self.source.table.iloc[rows]
        pairs = zip(chosen["file"], chosen["inverted"], strict=True)
        return [ImageFile(self.listing.root / file, inverted is True) for file, inverted in pairs]


def cache_source(config: CacheConfig, workspace: Workspace) -> CachedImages:
    """Caches one source, or one shard of it.

    Raises:
        UserError: bad input or output; what was done so far is kept for `--resume`.
        Stopped: by SIGTERM or SIGUSR1, after the state is safe.
    """
    settings = PixelSettings(config.size, config.fit, config.resample, config.window, config.clahe)
    folder, name = workspace.images, config.artifact_name
    files = _Files(folder / f"{name}.h5", folder / f"{name}.h5.part", folder / f"{name}.parquet", folder / f"{name}.failed.csv")
    _refuse_existing(config, files)
    listing = read_source(config.kind, config.path, config.labels, config.images, _columns(config))
    tables = [fingerprint(path) for path in listing.tables]  # now: they may be replaced while images are decoded
    present = rows_present(listing, config.part, config.allow_missing)
    work = _Work(listing, present, listing.source.rows(present), identity_of(listing.source, config.part), settings, tables)
    work.source.table["row"] = np.arange(len(work.source.table))
    began = time.monotonic()
    with exclusive(folder / f".{name}.lock"), stop_requests() as stop:
        _refuse_existing(config, files)  # again: another job may have started while the source was read
        clear_unfinished(files.part, files.table, files.failed)
        layout = _open(config, files, work)
        failures = _decode(layout, work, config, stop)
        _finish(config, files, layout, work, failures)
    count = int(read_done(read_layout(files.images)).sum())
    _report(files, count, layout.size, failures, time.monotonic() - began)
    return CachedImages(files.images, files.table, files.failed if exists(files.failed) else None, count)


def _columns(config: CacheConfig) -> TableColumns:
    """The columns of a table."""
    return TableColumns(
        image=config.image_column,
        path=config.path_column,
        patient=config.patient_column,
        study=config.study_column,
        view=config.view_column,
        sex=config.sex_column,
        age=config.age_column,
        split=config.split_column,
        inverted=config.invert_column,
        labels=label_columns(config.label_columns),
        values=config.value_labels,
        texts=config.label_column,
        separator=config.separator,
    )


def _refuse_existing(config: CacheConfig, files: _Files) -> None:
    for path in (files.images, files.part):
        refuse_existing(path, config.overwrite or config.resume, resumable=True)


def _open(config: CacheConfig, files: _Files, work: _Work) -> Layout:
    """The image file to fill: a new one, or the one to resume."""
    ids = list(work.source.table["image_id"])
    existing = file_to_resume(files.images, files.part, config.resume)
    if existing is None:
        return create_images(files.part, ids, config.size, work.settings.saved(), work.identity)
    layout, before = read_layout(existing), read_attributes(existing, "source")
    refuse_other_pixels(existing, layout.settings, work.settings.saved())
    table = read_source_table(files.table).table if existing == files.images and exists(files.table) else None
    refuse_other_source(existing, before, work.identity, layout.ids, (work.source.table, table))
    joined = any(part.path != existing for part in layout.parts)
    if joined and not read_done(layout).all():
        raise UserError(
            f"{existing} was joined from shards, and some images of it have no pixels",
            f"continue the shards (cxrlt cache … --shard i/n --resume), then: cxrlt join {config.artifact_name} --overwrite",
        )
    return layout


def _decode(layout: Layout, work: _Work, config: CacheConfig, stop: StopRequest) -> dict[int, str]:
    """Fills the rows that have no pixels yet; returns row -> reason for unreadable images."""
    done = read_done(layout)
    rows = np.flatnonzero(~done)
    if done.any():
        say(f"{int(done.sum())} of {len(done)} images are done, {len(rows)} to do")
    failures: dict[int, str] = {}
    remarks: dict[int, tuple[Remark, ...]] = {}
    if not len(rows):
        return failures
    blocks = decode_rows(layout, work.settings, (rows, work.files), config.workers)
    label = f"cache {config.artifact_name}"
    with closing(RowWriter(layout)) as writer, closing(blocks), progress(label, len(rows)) as bar:
        fresh: list[int] = []
        marked = time.monotonic()
        try:
            for block in blocks:
                fresh += [image.row for image in block if not image.error]
                failures.update((image.row, image.error) for image in block if image.error)
                remarks.update((image.row, image.remarks) for image in block if image.remarks)
                bar.advance(len(block))
                if stop:
                    break
                if time.monotonic() - marked > _SECONDS_BETWEEN_MARKS:
                    writer.mark_done(fresh)
                    fresh, marked = [], time.monotonic()
        finally:  # also if a worker failed: finished images are kept
            writer.mark_done(fresh)
    _report_remarks(remarks, work)
    if stop:
        raise stop.stopped(f"{layout.path} keeps the finished images; continue with --resume")
    return failures


def _report_remarks(remarks: dict[int, tuple[Remark, ...]], work: _Work) -> None:
    counts = RemarkCounts()
    for row in sorted(remarks):  # blocks finish in any order
        counts.add(work.source.table["file"][row], remarks[row])
    counts.report()


def _finish(config: CacheConfig, files: _Files, layout: Layout, work: _Work, failures: dict[int, str]) -> None:
    """Writes the table and the list of failures, then gives the image file its name."""
    done = read_done(layout)
    if len(done) and not done.any():
        files.part.unlink(missing_ok=True)
        reasons = listed(sorted(set(failures.values())))
        raise UserError(f"none of the {len(done)} images can be read: {reasons}", "see --source and --images")
    own = rows_of_shard(len(work.present), config.part)
    header = SourceHeader(
        images=files.images.name,
        settings=layout.settings,
        identity=work.identity,
        listed=own.stop - own.start,
        unreadable=len(failures),
        agreement=config.agreement,
        phantoms=_of_phantoms(config),
        provenance=record(saved(config), work.tables),
    )
    absent = work.listing.source.table["image_id"].iloc[own][~work.present[own]]
    rows = [(image, "", "missing") for image in absent]
    table = work.source.table
    rows += [(table["image_id"][row], table["file"][row], reason) for row, reason in sorted(failures.items())]
    write_failures(files.failed, ("image_id", "file", "reason"), rows)
    write_source_table(files.table, replace(work.source.rows(done), header=header))
    if layout.path != files.images:
        with reported_os_errors(f"cannot write {files.images}"):
            put_in_place(layout.path, files.images)


def _of_phantoms(config: CacheConfig) -> bool:
    """Whether `cxrlt demo` made the source. The layout of a source under an agreement is taken for that source."""
    folder = config.path if is_folder(config.path) else config.path.parent
    return is_file(folder / PHANTOMS_MARK) and not agreements_of([DataSource(config.kind, config.agreement)])


def _report(files: _Files, count: int, size: int, failures: dict[int, str], seconds: float) -> None:
    say(f"{count} images of {size} px in {files.images} after {seconds:.1f} s")
    if failures:
        warn(f"{len(failures)} images cannot be read: {listed(sorted(set(failures.values())), 3)}")
    if exists(files.failed):
        say(f"missing or unreadable images, with the reason: {files.failed}")
