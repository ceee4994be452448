"""The stage `merge`: cached sources in one label space, split by patient."""

import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import union_categoricals

from cxrlt_cli.artifacts.dataset import FORMAT, Dataset, DatasetHeader, HeldOut, write_dataset
from cxrlt_cli.artifacts.files import claimed, refuse_existing
from cxrlt_cli.artifacts.predictions import read_predictions_header
from cxrlt_cli.artifacts.provenance import record
from cxrlt_cli.artifacts.tables import refuse_other_table
from cxrlt_cli.config.grammar import OF_SOURCES
from cxrlt_cli.config.merge import MergeConfig
from cxrlt_cli.console import warn
from cxrlt_cli.errors import UserError, listed, nearest
from cxrlt_cli.labels.cached_sources import CachedSource, data_sources_of, read_sources
from cxrlt_cli.labels.corrections import apply_corrections, with_parents
from cxrlt_cli.labels.cross_split_duplicates import without_same_pictures
from cxrlt_cli.labels.folds import report_folds, training_folds
from cxrlt_cli.labels.harmonize import Harmonized, harmonize
from cxrlt_cli.labels.hierarchy import Implied, imply_parents
from cxrlt_cli.labels.hold_out import held_out_columns, hold_out, report_held_out
from cxrlt_cli.labels.label_map import LabelMap, classes_of, map_sources, read_label_map, refuse_other_space
from cxrlt_cli.labels.merge_report import report_dataset, report_implied
from cxrlt_cli.labels.policies import Policy, of_evaluation
from cxrlt_cli.labels.pseudo import pseudo_labels
from cxrlt_cli.labels.spaces import read_space
from cxrlt_cli.labels.splits import SPLITS, official_splits, split_patients, without_foreign_tests
from cxrlt_cli.options import saved
from cxrlt_cli.results import MergedDataset
from cxrlt_cli.workspace import Workspace

_OF_NIH = {"chestxray14", "google-nih"}  # kinds with the 14 findings of ChestX-ray14
_OWN_LABELS = {"padchest", "google-nih"}  # published kinds with labels that no label space has


@dataclass(frozen=True)
class _Rows:
    """Images of all sources.

    Attributes:
        table: the columns of the dataset except `split`, plus `official_split`.
        targets, label_mask, soft: see `labels.harmonize`.
        hashes: (N, 5) uint64 of the pixels.
    """

    table: pd.DataFrame
    targets: np.ndarray
    label_mask: np.ndarray
    soft: np.ndarray | None
    hashes: np.ndarray

    def only(self, keep: np.ndarray) -> "_Rows":
        if keep.all():
            return self
        soft = None if self.soft is None else self.soft[keep]
        table = self.table[keep].reset_index(drop=True)
        return _Rows(table, self.targets[keep], self.label_mask[keep], soft, self.hashes[keep])


def merge_sources(config: MergeConfig, workspace: Workspace) -> MergedDataset:
    """Merges cached sources into a dataset.

    Raises:
        UserError: no sources, missing pixels, pixels with different settings, labels that are in no label space, an image id
            twice, a patient or an image in two splits, an existing output.
    """
    path = config.output or workspace.dataset
    refuse_existing(path, config.overwrite)
    refuse_other_table(path, FORMAT)
    label_map = read_label_map(config.map_pairs, config.map_files)
    if config.pseudo:
        read_predictions_header(config.pseudo)  # now: a wrong file is an error before any work
    with claimed(path, config.overwrite):
        sources = read_sources(workspace.images, config.source, config.train_only)
        provenance = record(saved(config), [*_inputs(config, workspace, sources), *label_map.files])
        _refuse_unknown_names(config, sources)
        labels = {source.name: source.table.classes for source in sources}
        space = config.label_space or _default_space(sources)
        classes = classes_of(labels, label_map) if space == OF_SOURCES else read_space(space)
        held = held_out_columns(config.hold_out, classes)
        _warn_of_unused_rows(label_map, labels)
        policies = {source.name: _policy(config, source.name) for source in sources}
        parts = _harmonized(config, sources, policies, (space, classes), label_map)
        rows = _concatenated(sources, parts, path.parent)
        rows, implied = _with_parents(rows, classes) if config.hierarchy else (rows, [])
        rows = rows.only(_without_duplicates(rows.table, config.duplicate_ids))
        rows = rows.only(without_foreign_tests(rows.table, config.train_only))
        rows = _split(rows, config, path.parent)
        rows = _with_missing_eval(rows, classes, policies, parts)
        soft = _soft_targets(config, rows, classes, policies)
        rows, corrections = _with_corrections(rows, classes, config)  # after the split, which does not change by them
        rows, soft, held_out = _without_held_out(rows, soft, classes, held, config)
        header = DatasetHeader(
            label_space=space,
            policies={source.name: part.effect for source, part in zip(sources, parts, strict=True)},
            implied=[asdict(entry) for entry in implied],
            counts={name: int(count) for name, count in zip(classes, rows.targets.sum(axis=0), strict=True)},
            left_out=sum(len(source.table.table) for source in sources) - len(rows.table),
            held_out=held_out if held.any() else None,
            corrections=corrections,
            data_sources=data_sources_of(sources, config.pseudo),
            folds=config.folds or 0,
            provenance=provenance,
        )
        dataset = Dataset(rows.table, classes, rows.targets, rows.label_mask, sources[0].settings, header, path, soft)
        write_dataset(dataset)
    report_implied(implied)
    report_held_out(held_out)
    report_dataset(dataset, config.fractions)
    if config.folds:
        report_folds(dataset, config.pseudo)
    counts = dataset.table["split"].value_counts()
    return MergedDataset(path, classes, {name: int(counts.get(name, 0)) for name in SPLITS})


def _harmonized(
    config: MergeConfig,
    sources: list[CachedSource],
    policies: dict[str, Policy],
    space: tuple[str, list[str]],
    label_map: LabelMap,
) -> list[Harmonized]:
    """The labels of each source in the label space, whose name and classes are given."""
    name, classes = space
    labels = {source.name: source.table.classes for source in sources}
    mappings = map_sources(labels, classes, label_map, _leaving_out(config, sources, label_map))
    if config.pseudo is None:
        refuse_other_space(mappings, name)
    return [harmonize(source, classes, mappings[source.name], policies[source.name], config.seed) for source in sources]


def _with_parents(rows: _Rows, classes: list[str]) -> tuple[_Rows, list[Implied]]:
    positive, label_mask, implied = imply_parents(rows.targets == 1, rows.label_mask, classes)
    return replace(rows, targets=positive.astype(np.uint8), label_mask=label_mask), implied


def _split(rows: _Rows, config: MergeConfig, folder: Path) -> _Rows:
    """The rows with a column `split`, and `fold` with `--folds`, without the rows that `--same-picture` leaves out."""
    official = official_splits(rows.table, config.train_only)
    patients, positive = rows.table["patient_id"], rows.targets == 1
    split = split_patients(patients, official, positive, config.fractions, config.seed)
    places = split
    if config.folds:
        split = np.where(split == SPLITS.index("test"), split, SPLITS.index("train"))  # no patient stays in val
        training = split == SPLITS.index("train")
        fold = training_folds(rows.table, positive, training, config.folds, config.train_only, config.seed)
        rows.table["fold"] = fold
        places = np.where(fold < 0, -1 - split, fold)  # a copy in another fold would leak as one in another split does
    rows.table["split"] = pd.Categorical.from_codes(split, pd.Index(SPLITS))
    return rows.only(without_same_pictures(rows.table, rows.hashes, places, folder, config.same_picture))


def _with_missing_eval(rows: _Rows, classes: list[str], policies: dict[str, Policy], parts: list[Harmonized]) -> _Rows:
    """The rows, with `--missing-eval` applied to labels that a source lacks, in validation and test."""
    targets, label_mask = rows.targets.copy(), rows.label_mask.copy()
    evaluated = (rows.table["split"] != "train").to_numpy()
    for (name, policy), part in zip(policies.items(), parts, strict=True):
        own = evaluated & (rows.table["source"] == name).to_numpy()
        lacking = np.isin(classes, part.effect["missing"]["classes"])
        targets[own], label_mask[own] = of_evaluation(targets[own], label_mask[own], lacking, policy)
    return replace(rows, targets=targets, label_mask=label_mask)


def _with_corrections(rows: _Rows, classes: list[str], config: MergeConfig) -> tuple[_Rows, list[dict[str, Any]]]:
    """The rows with `--corrections` applied, and the record of what they did."""
    if not config.corrections:
        return rows, []
    labels = rows.targets, rows.label_mask
    corrected = apply_corrections(config.corrections, rows.table, classes, labels, config.unsure)
    if config.hierarchy:
        corrected = with_parents(corrected, rows.table, classes)
    return replace(rows, targets=corrected.targets, label_mask=corrected.label_mask), corrected.record


def _without_held_out(
    rows: _Rows, soft: np.ndarray | None, classes: list[str], held: np.ndarray, config: MergeConfig
) -> tuple[_Rows, np.ndarray | None, HeldOut]:
    """Rows and soft targets without training labels of the held-out classes, and what was done."""
    training = (rows.table["split"] == "train").to_numpy()
    keep, counts = hold_out(rows.targets, rows.label_mask, training, held, config.hold_out_as)
    names = [name for name, own in zip(classes, held, strict=True) if own]
    facts = HeldOut(names, config.hold_out_as, int((~keep).sum()), dict(zip(names, counts, strict=True)))
    soft = None if soft is None else np.where(held, np.nan, soft[keep]).astype(np.float32)
    return rows.only(keep), soft, facts


def _inputs(config: MergeConfig, workspace: Workspace, sources: list[CachedSource]) -> list[Path]:
    tables = [workspace.images / f"{source.name}.parquet" for source in sources]
    return [*tables, *([config.pseudo] if config.pseudo else []), *config.corrections]


def _default_space(sources: list[CachedSource]) -> str:
    return "chestxray14" if {source.table.kind for source in sources} <= _OF_NIH else "cxr-lt-2023"


def _policy(config: MergeConfig, source: str) -> Policy:
    return Policy(*(config.policy(source, what) for what in ("missing", "blank", "uncertain", "missing_eval")))


def _refuse_unknown_names(config: MergeConfig, sources: list[CachedSource]) -> None:
    """Raises UserError for an option that names a source or a label that does not exist."""
    names = [source.name for source in sources]
    for name in config.named_sources:
        if name not in names:
            raise UserError(
                f"a policy names {name!r}, which is not merged{nearest(name, names)}", f"merged are: {', '.join(names)}"
            )
    labels = {label for source in sources for label in source.table.classes}
    for old in config.map_pairs:
        if old not in labels:
            raise UserError(
                f"--map: no source has a label {old!r}{nearest(old, labels)}", f"they have: {listed(sorted(labels), 40)}"
            )


def _leaving_out(config: MergeConfig, sources: list[CachedSource], label_map: LabelMap) -> set[str]:
    """The sources whose unknown labels are left out. Some datasets have labels that no label space has."""
    own = set() if label_map.absent else {source.name for source in sources if source.table.kind in _OWN_LABELS}
    return {source.name for source in sources} if config.unknown == "leave-out" else own


def _warn_of_unused_rows(label_map: LabelMap, labels: dict[str, list[str]]) -> None:
    """Warns of rows of a label map that match no label of the merged sources."""
    named = {(source, label) for source, names in labels.items() for label in names} | {
        ("", label) for names in labels.values() for label in names
    }
    idle = [f"{source or 'every source'}: {label}" for source, label in label_map.classes if (source, label) not in named]
    if idle:
        warn(f"{len(idle)} rows of --map name a source or label that is not merged: {listed(idle)}")


def _concatenated(sources: list[CachedSource], parts: list[Harmonized], folder: Path) -> _Rows:
    soft = None
    if any(part.soft is not None for part in parts):
        soft_parts = [np.full(part.targets.shape, np.nan, np.float32) if part.soft is None else part.soft for part in parts]
        soft = np.concatenate(soft_parts)
    targets, label_mask = (
        np.concatenate(arrays) for arrays in zip(*((part.targets, part.label_mask) for part in parts), strict=True)
    )
    return _Rows(_all_rows(sources, folder), targets, label_mask, soft, np.concatenate([source.hashes for source in sources]))


def _soft_targets(config: MergeConfig, rows: _Rows, classes: list[str], policies: dict[str, Policy]) -> np.ndarray | None:
    """(N, C) float32 soft targets of training images (uncertain labels, pseudo-labels), NaN where there is none."""
    training = (rows.table["split"] == "train").to_numpy()
    unlabelled = training[:, None] & ~rows.label_mask
    soft = None if rows.soft is None else np.where(unlabelled, rows.soft, np.nan).astype(np.float32)
    if config.pseudo is None:
        return soft
    filled = [name for name, policy in policies.items() if policy.wants_scores]
    wanted = unlabelled & rows.table["source"].isin(filled).to_numpy()[:, None]
    if soft is not None:
        wanted &= np.isnan(soft)
    scores = pseudo_labels(config.pseudo, rows.table["image_id"], classes, wanted, config.threshold)
    return scores if soft is None else np.where(np.isnan(soft), scores, soft)


def _all_rows(sources: list[CachedSource], folder: Path) -> pd.DataFrame:
    """The columns of the dataset without the split."""
    rows = pd.concat([_rows(source) for source in sources], ignore_index=True)
    of = np.repeat(np.arange(len(sources)), [len(source.table.table) for source in sources])
    files = [Path(os.path.relpath(source.images, folder)).as_posix() for source in sources]
    rows["patient_id"] = union_categoricals([_patients(source) for source in sources])
    rows["source"] = pd.Categorical.from_codes(of, pd.Index([source.name for source in sources]))
    rows["cache"] = pd.Categorical.from_codes(of, pd.Index(files))
    return rows


def _rows(source: CachedSource) -> pd.DataFrame:
    return source.table.table.drop(columns=["file", "inverted", "patient_id"])


def _patients(source: CachedSource) -> "pd.Categorical[str]":
    """Patient ids with the name of their dataset as prefix; categorical, which is fast to compare."""
    codes, ids = pd.factorize(source.table.table["patient_id"])
    return pd.Categorical.from_codes(codes, source.owner + ":" + ids)


def _without_duplicates(rows: pd.DataFrame, policy: str) -> np.ndarray:
    """(N,) bool: the rows to keep. With the policy `prefix`, changes the ids."""
    if policy == "prefix":
        rows["image_id"] = rows["source"].astype(str) + "/" + rows["image_id"]
    if rows["image_id"].is_unique:
        return np.ones(len(rows), dtype=bool)
    again = rows["image_id"].duplicated().to_numpy()
    names = listed(rows["image_id"][again].unique())
    if policy == "refuse":
        raise UserError(
            f"{int(again.sum())} image ids are in more than one source: {names}",
            "--duplicate-ids first keeps the first source's, --duplicate-ids prefix puts SOURCE/ before every id",
        )
    warn(f"{int(again.sum())} images are also in an earlier source and are left out: {names}")
    return np.asarray(~again)
