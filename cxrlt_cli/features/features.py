"""The stage `features`: computes the maps of a frozen encoder into one HDF5 file."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np

from cxrlt_cli.artifacts.features_file import (
    FeatureFile,
    FeatureRecord,
    FeatureSettings,
    FeatureSource,
    create_features,
    read_features,
    record_path,
    write_feature_record,
)
from cxrlt_cli.artifacts.files import clear_unfinished, exclusive, put_in_place, refuse_existing
from cxrlt_cli.artifacts.provenance import record
from cxrlt_cli.artifacts.row_access import RowWriter, content_hash
from cxrlt_cli.artifacts.row_file import file_to_resume
from cxrlt_cli.artifacts.row_layout import read_done
from cxrlt_cli.compute.device import choose_device, choose_precision
from cxrlt_cli.config.features import FeaturesConfig
from cxrlt_cli.console import progress, say
from cxrlt_cli.errors import UserError, listed, reported_os_errors
from cxrlt_cli.features.frozen_encoder import FrozenEncoder, load_frozen, map_maker
from cxrlt_cli.features.maps import MapMaker
from cxrlt_cli.features.source_images import SourceImages, open_images
from cxrlt_cli.machine import keep_memory
from cxrlt_cli.options import saved
from cxrlt_cli.results import StoredFeatures
from cxrlt_cli.signals import StopRequest, stop_requests
from cxrlt_cli.workspace import Workspace, rows_of_shard

_SECONDS_BETWEEN_MARKS = 2.0  # after a kill, at most this many seconds and a batch of work are repeated


def store_features(config: FeaturesConfig, workspace: Workspace) -> StoredFeatures:
    """Stores the maps of the images of a dataset or a cache, or of one shard of them.

    Raises:
        UserError: bad input or output; what was done so far is kept for `--resume`.
        Stopped: by SIGTERM or SIGUSR1, after the finished maps are safe.
    """
    keep_memory()
    target = workspace.features / f"{config.artifact_name}.h5"
    part = target.with_name(f"{target.name}.part")
    _refuse_existing(config, target, part)
    device = choose_device(config.device)
    precision = choose_precision(config.precision, device)
    images = open_images(config.source or workspace.dataset)
    size = int(images.pixels["size"])
    encoder = load_frozen(config.encoder, config.weights, int(config.stride), size, config.grid)
    settings = _settings(config, encoder, images)
    own = rows_of_shard(len(images.ids), config.part)
    began = time.monotonic()
    with exclusive(workspace.features / f".{config.artifact_name}.lock"), stop_requests() as stop:
        _refuse_existing(config, target, part)  # again: another job may have started while the encoder was loaded
        clear_unfinished(part, record_path(target))
        source = FeatureSource(images.kind, Path(images.file.path).name, images.sha256, _shard(config.part))
        file = _open(config, (target, part), images.ids[own], (encoder, settings, source))
        made = _fill(file, images, own.start, map_maker(encoder, settings, size, device, precision), (config, stop))
        if file.layout.path != target:
            provenance = record(saved(config), [images.file])
            write_feature_record(target, FeatureRecord(len(file.layout.ids), file.layout.settings, provenance))
            with reported_os_errors(f"cannot write {target}"):
                put_in_place(part, target)
    _report(target, file, made, time.monotonic() - began)
    return StoredFeatures(target, len(file.layout.ids), file.map_shape, settings.views)


def _refuse_existing(config: FeaturesConfig, *paths: Path) -> None:
    for path in paths:
        refuse_existing(path, config.overwrite or config.resume, resumable=True)


def _shard(part: tuple[int, int]) -> str:
    return f"{part[0]}/{part[1]}" if part[1] > 1 else ""


def _settings(config: FeaturesConfig, encoder: FrozenEncoder, images: SourceImages) -> FeatureSettings:
    return FeatureSettings(
        encoder=config.encoder,
        weights=encoder.weights,
        weights_sha256=encoder.sha256,
        origin=encoder.origin,
        stride=int(config.stride),
        grid=config.grid,
        views=config.views,
        seed=config.seed,
        precision=config.precision,
        pixels=images.pixels,
    )


def _open(
    config: FeaturesConfig, paths: tuple[Path, Path], ids: list[str], made: tuple[FrozenEncoder, FeatureSettings, FeatureSource]
) -> FeatureFile:
    """The file to fill: a new one, or the one to resume. Raises UserError where that was started from something else."""
    target, part = paths
    encoder, settings, source = made
    existing = file_to_resume(target, part, config.resume)
    if existing is None:
        return create_features(part, ids, encoder.map_shape, settings, source)
    file = read_features(existing)
    before, now = file.layout.settings, settings.saved()
    changed = [f"{key} was {before.get(key)!r}, is {now[key]!r}" for key in now if before.get(key) != now[key]]
    changed += ["the images are others" if file.source.images_sha256 != source.images_sha256 else ""]
    changed += ["the shard is another" if file.layout.ids != ids or file.source.shard != source.shard else ""]
    changed = [text for text in changed if text]
    if changed:
        raise UserError(
            f"{existing} was started differently: {'; '.join(changed)}",
            "repeat the first command, or start again with --overwrite, or give another --name",
        )
    return file


def _fill(
    file: FeatureFile, images: SourceImages, first: int, maker: MapMaker, control: tuple[FeaturesConfig, StopRequest]
) -> int:
    """Computes the maps that are missing, from row `first` of the images on; returns how many images that were."""
    config, stop = control
    done = read_done(file.layout)
    rows = np.flatnonzero(~done)
    if done.any():
        say(f"{int(done.sum())} of {len(done)} images are done, {len(rows)} to do")
    if not len(rows):
        return 0
    fresh: list[int] = []
    marked = time.monotonic()
    label = f"features {config.artifact_name}"
    with closing(RowWriter(file.layout)) as writer, progress(label, len(rows)) as bar:
        try:
            for some, pixels in _batches(images, rows, first, config.batch_size):
                _write(writer, images, some, maker.maps(pixels, first + some), first)
                fresh += some.tolist()
                bar.advance(len(some))
                if stop:
                    break
                if time.monotonic() - marked > _SECONDS_BETWEEN_MARKS:
                    writer.mark_done(fresh)
                    fresh, marked = [], time.monotonic()
        except OSError as error:
            text = f"features cannot be written to {file.layout.path}: {error}"
            raise UserError(text, "see whether the disk is full; continue with --resume") from error
        finally:  # also if it failed: finished maps are kept
            writer.mark_done(fresh)
    if stop:
        raise stop.stopped(f"{file.layout.path} keeps the finished maps; continue with --resume")
    return len(rows)


def _batches(images: SourceImages, rows: np.ndarray, first: int, count: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows of the file and the pixels of their images, `count` at a time; the next ones are read while some are in use."""
    parts = np.split(rows, range(count, len(rows), count))
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(images.read, first + parts[0])
        for part, following in zip(parts, [*parts[1:], None], strict=True):
            pixels = waiting.result()
            if following is not None:
                waiting = pool.submit(images.read, first + following)
            yield part, pixels


def _write(writer: RowWriter, images: SourceImages, rows: np.ndarray, maps: np.ndarray, first: int) -> None:
    """Writes the (B, V, C, h, w) maps of some rows. Raises UserError where a value is beyond the range of float16."""
    wrong = ~np.isfinite(maps).all(axis=(1, 2, 3, 4))
    if wrong.any():
        names = listed(images.ids[first + row] for row in rows[wrong])
        raise UserError(
            f"the encoder's features of {int(wrong.sum())} images are not finite in float16 (at most 65504): {names}",
            "choose another --encoder; or train from pixels, with --tune head",
        )
    for row, views in zip(rows.tolist(), np.ascontiguousarray(maps), strict=True):
        hashes = [images.hashes[first + row], *(content_hash(view) for view in views)]
        writer.write(row, views, np.array(hashes, dtype=np.uint64))


def _report(target: Path, file: FeatureFile, made: int, seconds: float) -> None:
    channels, height, width = file.map_shape
    views = f"{file.settings.views} views of " if file.settings.views > 1 else ""
    say(
        f"{views}{len(file.layout.ids)} images, maps of {channels} x {height} x {width}, "
        f"{target.stat().st_size / 1e9:.3f} GB in {target}"
    )
    if made:
        say(f"{made} images in {seconds:.1f} s: {made / seconds:.1f} images/s")
