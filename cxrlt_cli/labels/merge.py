"""The stage `merge`: cached sources in one label space, split by patient."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cxrlt_cli.artifacts.dataset import Dataset, write_dataset
from cxrlt_cli.artifacts.files import refuse_existing
from cxrlt_cli.artifacts.image_layout import read_attributes, read_done, read_layout
from cxrlt_cli.artifacts.provenance import record
from cxrlt_cli.artifacts.source_table import BLANK, SourceTable, read_source_table
from cxrlt_cli.config.merge import MergeConfig
from cxrlt_cli.console import data, say, table, warn
from cxrlt_cli.errors import UserError, listed, nearest
from cxrlt_cli.labels.policies import to_targets
from cxrlt_cli.labels.spaces import map_labels, read_space
from cxrlt_cli.labels.splits import SPLITS, split_patients
from cxrlt_cli.options import saved
from cxrlt_cli.workspace import Workspace


@dataclass(frozen=True)
class _Source:
    """A cached source under its name, and where its pixels are."""

    name: str
    images: Path
    table: SourceTable
    settings: dict[str, Any]


def merge_sources(config: MergeConfig, workspace: Workspace) -> None:
    """Merges cached sources into a dataset.

    Raises:
        UserError: no sources, pixels that are not there or were made otherwise, labels that nothing knows, an image id
            twice, a patient in two splits, an existing output.
    """
    path = config.output or workspace.dataset
    refuse_existing(path, config.overwrite)
    sources = [_read(workspace.images, name) for name in _names(config, workspace)]
    _refuse_mixed_pixels(sources)
    classes = read_space(config.label_space or _usual_space(sources))
    rows = pd.concat([_rows(source, path.parent) for source in sources], ignore_index=True)
    labels = np.concatenate([_labels(source, classes, config) for source in sources])
    keep = _without_duplicates(rows, config.duplicate_ids) & _without_foreign_tests(rows, config.train_only)
    rows, labels = rows[keep].reset_index(drop=True), labels[keep]
    targets, known = to_targets(labels, config.missing, config.uncertain)
    split = split_patients(rows["patient_id"], _official(rows, config), targets == 1, config.shares, config.seed)
    rows["split"] = np.array(SPLITS)[split]
    header = {
        "label_space": config.label_space or _usual_space(sources),
        "policies": {source.name: {"missing": config.missing, "uncertain": config.uncertain} for source in sources},
        "counts": {name: int(count) for name, count in zip(classes, targets.sum(axis=0), strict=True)},
        "left_out": int((~keep).sum()),
        "provenance": record(saved(config), [workspace.images / f"{source.name}.parquet" for source in sources]),
    }
    dataset = Dataset(rows, classes, targets, known, sources[0].settings, header, path)
    write_dataset(dataset)
    _report(dataset)


def _names(config: MergeConfig, workspace: Workspace) -> list[str]:
    """The sources, by name: the result does not depend on the order in which they are given."""
    shards = sorted({path.name.partition(".shard-")[0] for path in workspace.images.glob("*.shard-*.parquet")})
    there = sorted(path.stem for path in workspace.images.glob("*.parquet") if ".shard-" not in path.name)
    unjoined = [name for name in shards if name not in there]
    if unjoined and not config.source:
        warn(f"shards that are not joined are not merged: {listed(unjoined)} (cxrlt join NAME)")
    unfinished = sorted(path.name for path in workspace.images.glob("*.h5.part"))
    if unfinished and not config.source:
        warn(f"unfinished caches are not merged: {listed(unfinished)} (cxrlt cache --resume)")
    if not there:
        raise UserError(f"{workspace.images} holds no cached source", "make one with: cxrlt cache --source KIND=PATH")
    for name in (*config.source, *config.train_only):
        if name not in there:
            raise UserError(
                f"{name!r} is no cached source{nearest(name, there)}", f"{workspace.images} has: {', '.join(there)}"
            )
    return sorted(set(config.source)) or there


def _read(folder: Path, name: str) -> _Source:
    source = read_source_table(folder / f"{name}.parquet")
    images = folder / f"{name}.h5"
    layout = read_layout(images)
    again = f"make the cache again: cxrlt cache --name {name} --overwrite"
    identity = read_attributes(images, "source")
    if any(source.header.get(key) != value for key, value in identity.items()):
        raise UserError(f"{images} and {folder / name}.parquet are of two different runs of cache", again)
    done = read_done(layout)
    rows = source.table["row"].to_numpy()
    inside = (rows >= 0) & (rows < len(done))
    sound = inside.copy()
    ids = np.array(layout.ids, dtype=object)
    sound[inside] = done[rows[inside]] & (ids[rows[inside]] == source.table["image_id"].to_numpy()[inside])
    if not sound.all():
        absent = source.table["image_id"][~sound]
        raise UserError(f"{len(absent)} images of {name} have no pixels in {images}: {listed(absent)}", again)
    return _Source(name, images, source, layout.settings)


def _refuse_mixed_pixels(sources: list[_Source]) -> None:
    first = sources[0]
    for source in sources[1:]:
        if source.settings != first.settings:
            raise UserError(
                f"pixels were made differently: {first.name} {first.settings}, {source.name} {source.settings}",
                "cache them with the same --size and --fit (and another --name), or merge fewer: --source NAME",
            )


def _usual_space(sources: list[_Source]) -> str:
    return "chestxray14" if all(source.table.kind == "chestxray14" for source in sources) else "cxr-lt-2023"


def _rows(source: _Source, folder: Path) -> pd.DataFrame:
    """The columns of the dataset but for the split. A published dataset's patients are the same in each of its caches."""
    rows = source.table.table.drop(columns="file")
    owner = source.name if source.table.kind == "table" else source.table.kind
    rows["patient_id"] = owner + ":" + rows["patient_id"].astype(str)
    rows["source"] = source.name
    rows["cache"] = Path(os.path.relpath(source.images, folder)).as_posix()
    return rows


def _labels(source: _Source, classes: list[str], config: MergeConfig) -> np.ndarray:
    """(N, C) int8 as published, in the order of the space; a class that the source lacks is BLANK."""
    mapping = map_labels(source.table.classes, classes, config.renamed)
    labels = np.full((len(source.table.table), len(classes)), BLANK, dtype=np.int8)
    for column, target in enumerate(mapping.values()):
        if target is not None:
            labels[:, classes.index(target)] = source.table.labels[:, column]
    renamed = [f"{name} -> {target}" for name, target in mapping.items() if target not in (None, name)]
    left_out = [name for name, target in mapping.items() if target is None]
    lacking = [name for name in classes if name not in mapping.values()]
    say(f"{source.name}: {len(labels)} images, {len(classes) - len(lacking)} of {len(classes)} classes")
    for what, names in (
        ("by another name", renamed),
        ("not in the label space, left out", left_out),
        (config.missing, lacking),
    ):
        if names:
            say(f"  {what}: {', '.join(names)}")
    return labels


def _without_duplicates(rows: pd.DataFrame, policy: str) -> np.ndarray:
    """(N,) bool: the rows to keep. Changes the ids where the policy is `prefix`."""
    if policy == "prefix":
        rows["image_id"] = rows["source"] + "/" + rows["image_id"]
    again = rows["image_id"].duplicated().to_numpy()
    if not again.any():
        return ~again
    names = listed(rows["image_id"][again].unique())
    if policy == "refuse":
        raise UserError(
            f"{int(again.sum())} image ids stand in more than one source: {names}",
            "--duplicate-ids first keeps the first source's, --duplicate-ids prefix puts SOURCE/ before every id",
        )
    warn(f"{int(again.sum())} images stand in an earlier source too and are left out: {names}")
    return ~again


def _without_foreign_tests(rows: pd.DataFrame, train_only: tuple[str, ...]) -> np.ndarray:
    """(N,) bool: false for the official test images of sources that only add training images."""
    foreign = (rows["source"].isin(train_only) & (rows["official_split"] == "test")).to_numpy()
    if foreign.any():
        warn(f"{int(foreign.sum())} official test images of {', '.join(train_only)} are left out (--train-only)")
    return ~foreign


def _official(rows: pd.DataFrame, config: MergeConfig) -> pd.Series:
    """(N,) what lists decide. Where a source has training and test lists but no validation, its training list is divided."""
    official = rows["official_split"].astype(object).copy()
    for name in rows["source"].unique():
        own = rows["source"] == name
        if name in config.train_only:
            official[own] = "train"
        elif not (official[own].isin(["val", "train_val"])).any():
            official[own & (official == "train")] = "train_val"
    return official


def _report(dataset: Dataset) -> None:
    split = dataset.table["split"]
    counts = np.stack([dataset.targets[(split == name).to_numpy()].sum(axis=0) for name in SPLITS])
    order = np.argsort(-counts.sum(axis=0), kind="stable")
    unknown = (~dataset.known).mean(axis=0)
    rows = [[dataset.classes[c], *(str(n) for n in counts[:, c]), f"{unknown[c]:.1%}"] for c in order]
    images = [str(int((split == name).sum())) for name in SPLITS]
    patients = [str(dataset.table["patient_id"][split == name].nunique()) for name in SPLITS]
    data(table(["positives", *SPLITS, "unknown"], [*rows, ["images", *images, ""], ["patients", *patients, ""]]))
    nowhere = [dataset.classes[c] for c in order if not counts[:, c].any()]
    if nowhere:
        warn(f"no positive anywhere: {', '.join(nowhere)}")
    for index, name in enumerate(SPLITS):
        without = [dataset.classes[c] for c in order if counts[index, c] == 0 and counts[:, c].any()]
        if without and int(images[index]):
            warn(f"no positive in {name}: {', '.join(without)}")
    say(f"{len(dataset.table)} images, {dataset.table['patient_id'].nunique()} patients in {dataset.path}")
