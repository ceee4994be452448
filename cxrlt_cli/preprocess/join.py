"""The stage `join`: joins the shards of a cache."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cxrlt_cli.artifacts.failures import count_absent, read_failures, write_failures
from cxrlt_cli.artifacts.files import clear_unfinished, exclusive, refuse_existing, replacing, replacing_together
from cxrlt_cli.artifacts.image_file import IMAGES, read_attributes, read_layout
from cxrlt_cli.artifacts.provenance import record
from cxrlt_cli.artifacts.row_file import join_rows
from cxrlt_cli.artifacts.row_layout import Layout, read_done
from cxrlt_cli.artifacts.shards import copy_rows, names_of_shards
from cxrlt_cli.artifacts.source_table import SourceHeader, SourceTable, read_source_table, write_source_table
from cxrlt_cli.config.join import JoinConfig
from cxrlt_cli.console import say
from cxrlt_cli.errors import UserError, listed, reported_os_errors
from cxrlt_cli.options import saved
from cxrlt_cli.paths import exists
from cxrlt_cli.preprocess.join_features import join_features
from cxrlt_cli.preprocess.resume_check import refuse_other_shard
from cxrlt_cli.results import CachedImages
from cxrlt_cli.workspace import Workspace


@dataclass(frozen=True)
class _Shard:
    """One checked shard."""

    layout: Layout
    identity: dict[str, Any]
    table: SourceTable
    table_path: Path


def join_shards(config: JoinConfig, workspace: Workspace) -> CachedImages:
    """Joins the shards of a cache, or of a features file.

    Raises:
        UserError: no shards, one that is missing, unfinished or with a different source or pixels; an existing output.
    """
    if config.features:
        path, count = join_features(workspace.features, config.name, config.copy, config.overwrite, saved(config))
        return CachedImages(path, None, None, count)
    folder = workspace.images
    target = folder / f"{config.name}.h5"
    refuse_existing(target, config.overwrite)
    with exclusive(folder / f".{config.name}.lock"):
        refuse_existing(target, config.overwrite)
        names = names_of_shards(folder, config.name, IMAGES)
        shards = [_read(folder / f"{name}.h5", f"{index}/{len(names)}") for index, name in enumerate(names)]
        _refuse_unlike(shards)
        part = target.with_name(f"{target.name}.part")
        clear_unfinished(part, target.with_suffix(".parquet"), target.with_suffix(".failed.csv"))
        try:
            if config.copy:
                copy_rows(part, [shard.layout for shard in shards], shards[0].identity)
            else:
                join_rows(part, [shard.layout for shard in shards], shards[0].identity)
            with replacing_together(), reported_os_errors(f"cannot write {target}"):
                _write_table(config, folder, shards)
                with replacing(target) as aside:
                    part.rename(aside)
        finally:
            part.unlink(missing_ok=True)
    count = int(read_done(read_layout(target)).sum())
    how = "copied" if config.copy else "linked: keep them in the same folder"
    say(f"{count} images of {len(shards)} shards in {target} ({how})")
    failed = target.with_suffix(".failed.csv")
    return CachedImages(target, target.with_suffix(".parquet"), failed if exists(failed) else None, count)


def _read(path: Path, number: str) -> _Shard:
    """A shard whose table matches its images. Raises UserError if it does not, or if it is not the shard `number`."""
    layout, table_path, hint = read_layout(path), path.with_suffix(".parquet"), "make it again: cxrlt cache … --shard i/n"
    identity = read_attributes(path, "source")
    if identity.pop("shard", "0/1") != number:  # of one shard it is not recorded
        raise UserError(f"{path} is not shard {number}, as its name says", f"rename it, or {hint}")
    table = read_source_table(table_path)
    own = table.header.identity
    identity |= {key: own[key] for key in ("labels_sha256",) if key in own}  # the labels may be newer than the pixels
    if {"shard": "0/1", **own} != {**identity, "shard": number}:
        raise UserError(f"{table_path} is not the table of {path.name}: it is of another source or shard", hint)
    done = np.flatnonzero(read_done(layout))
    same_rows = np.array_equal(table.table["row"].to_numpy(), done)
    if not same_rows or table.table["image_id"].tolist() != [layout.ids[row] for row in done]:
        counts = f"{len(table.table)} rows, {len(done)} images with pixels"
        raise UserError(f"{table_path} does not list the images of {path.name} in their order ({counts})", hint)
    return _Shard(layout, identity, table, table_path)


def _refuse_unlike(shards: list[_Shard]) -> None:
    """Raises UserError if shards differ in their settings or label columns, or have an image in common."""
    first = shards[0]
    for shard in shards[1:]:
        pairs = [first.layout.settings, shard.layout.settings], [first.identity, shard.identity]
        refuse_other_shard(shard.layout.path, first.layout.path, *pairs)
        if shard.table.classes != first.table.classes:
            unlike = sorted(set(shard.table.classes) ^ set(first.table.classes)) or ["their order"]
            raise UserError(
                f"{shard.table_path} and {first.table_path} differ in their label columns: {listed(unlike)}",
                "make it again: cxrlt cache … --shard i/n --overwrite",
            )
    ids = [name for shard in shards for name in shard.layout.ids]
    twice = [name for name, count in Counter(ids).items() if count > 1]
    if twice:
        raise UserError(f"images are in two shards: {listed(twice)}", "make the shards again, from one list of images")


def _write_table(config: JoinConfig, folder: Path, shards: list[_Shard]) -> None:
    starts = np.cumsum([0, *(len(shard.layout.ids) for shard in shards)])[:-1]
    tables = [
        shard.table.table.assign(row=shard.table.table["row"] + start) for shard, start in zip(shards, starts, strict=True)
    ]
    first = shards[0].table
    table = pd.concat(tables, ignore_index=True)
    labels = np.concatenate([shard.table.labels for shard in shards])
    failures = [shard.table_path.with_suffix(".failed.csv") for shard in shards]
    header = SourceHeader(
        images=f"{config.name}.h5",
        settings=shards[0].layout.settings,
        identity=shards[0].identity,
        listed=sum(len(shard.layout.ids) for shard in shards) + sum(map(count_absent, failures)),
        unreadable=sum(shard.table.header.unreadable or 0 for shard in shards),
        agreement="; ".join(sorted({shard.table.header.agreement for shard in shards} - {""})),
        phantoms=all(shard.table.header.phantoms for shard in shards),
        provenance=record(saved(config), [shard.table_path for shard in shards]),
    )
    failed = [row for path in failures for row in read_failures(path)]
    write_failures(folder / f"{config.name}.failed.csv", ("image_id", "file", "reason"), failed)
    write_source_table(folder / f"{config.name}.parquet", SourceTable(first.kind, table, first.classes, labels, header))
