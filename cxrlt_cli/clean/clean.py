"""The stage `clean`: finds labels that the scores contradict, for a reviewer."""

from pathlib import Path

import numpy as np

from cxrlt_cli.artifacts.corrections import (
    Correction,
    CorrectionsSummary,
    as_csv,
    summary_content,
    write_corrections,
)
from cxrlt_cli.artifacts.dataset import read_dataset
from cxrlt_cli.artifacts.files import claimed, refuse_existing
from cxrlt_cli.artifacts.parsing import Row
from cxrlt_cli.artifacts.provenance import record
from cxrlt_cli.artifacts.resolve import Entry, find_entry, find_predictions
from cxrlt_cli.artifacts.run import Run
from cxrlt_cli.artifacts.study import OUT_OF_FOLD
from cxrlt_cli.clean.confident_learning import RankedCells, confident_thresholds, probabilities_on_one_scale, rank_cells
from cxrlt_cli.config.clean import CleanConfig
from cxrlt_cli.console import data, say, shortened, table, warn
from cxrlt_cli.errors import UserError, nearest
from cxrlt_cli.metrics.calibration import sigmoid
from cxrlt_cli.options import saved
from cxrlt_cli.paths import is_file
from cxrlt_cli.results import RankedLabels
from cxrlt_cli.scores.labelled import Scored, read_scored
from cxrlt_cli.workspace import Workspace, checked_name


def find_label_errors(config: CleanConfig, workspace: Workspace) -> RankedLabels:
    """Ranks the known labels of the scored images, and writes the most suspicious ones.

    Raises:
        UserError: scores that are in-sample or do not match the dataset, no known label, an output that exists.
    """
    entry = _of_study(config.folds, workspace) if config.folds else _entry(config.predictions, workspace)
    folder = workspace.corrections / checked_name(config.name or entry.name)
    refuse_existing(folder, config.overwrite)
    dataset = read_dataset(config.dataset or workspace.dataset)
    scored = read_scored(entry.path, dataset, config.split)
    _refuse_in_sample(entry, scored)
    if not scored.label_mask.any():
        raise UserError(f"no label of the {scored.split} split of {dataset.path} is known", "see: cxrlt info dataset.parquet")
    provenance = record(saved(config), [entry.path, dataset.path])
    probabilities = _probabilities(scored, config.probabilities)
    ranked = rank_cells(probabilities, scored.targets, scored.label_mask)
    corrections = _corrections(scored, ranked, config.top)
    rows = as_csv(corrections)
    summary = CorrectionsSummary(
        split=scored.split,
        images=len(scored.table),
        labels=len(ranked.rows),
        contradicted=int(ranked.contradicted.sum()),
        listed=len(corrections),
        probabilities=config.probabilities,
        runs=scored.header.runs,
        classes=_class_rows(scored, ranked, probabilities),
    )
    page = None
    if config.top:
        from cxrlt_cli.clean.review_page import open_pictures, review_page  # imports torch
        from cxrlt_cli.compute.device import choose_device

        places = (workspace.runs, workspace.study_runs)
        found = (
            next((run for place in places if is_file((run := Run(place / name)).best)), None) for name in scored.header.runs
        )
        runs = [run for run in found if run]
        pictures = open_pictures(dataset, scored, runs, choose_device(config.device))
        page = review_page(folder.name, rows, corrections[: config.top], scored, pictures)
    with claimed(folder, config.overwrite):
        write_corrections(folder, summary_content(summary, provenance), rows, page)
    _report(summary, folder, len(page or ""))
    shown = folder / "review.html" if page else None
    return RankedLabels(folder, folder / "corrections.csv", shown, summary.labels, summary.contradicted)


def _entry(given: str, workspace: Workspace) -> Entry:
    if given:
        return find_entry(given, workspace)
    path = find_predictions("", workspace.predictions)
    return Entry(path.stem, path, {})


def _of_study(name: str, workspace: Workspace) -> Entry:
    """The out-of-fold scores of a study."""
    path = workspace.studies / name / OUT_OF_FOLD
    if not is_file(path):
        there = [found.parent.name for found in sorted(workspace.studies.glob(f"*/{OUT_OF_FOLD}"))]
        raise UserError(
            f"{path} is not there{nearest(name, there)}", "make it: cxrlt merge --folds 5 --overwrite, then cxrlt study folds"
        )
    return Entry(name, path, {})


def _refuse_in_sample(entry: Entry, scored: Scored) -> None:
    """Refuses the scores that a run of ours gave its training images; of other networks it is the user who knows."""
    if scored.split not in ("train", "all") or scored.header.out_of_fold:
        return
    if scored.header.runs:
        raise UserError(
            f"{entry.path} has scores of training images (the split is {scored.split}): the network has learned their labels, "
            "with the errors among them, so that its scores agree with the errors",
            "score images that it was not trained on: cxrlt predict --split val, or test; or train folds: cxrlt clean --folds",
        )
    warn(f"{entry.path} names no run: its scores are only useful where the network was not trained on these images")


def _probabilities(scored: Scored, how: str) -> np.ndarray:
    """(N, C) probabilities; on one scale also across the runs of out-of-fold scores, each of which has a scale of its own."""
    if how == "raw":
        return sigmoid(scored.logits)
    scale = scored.table["fold"].to_numpy() if scored.header.out_of_fold else np.zeros(len(scored.table), dtype=np.int64)
    probabilities = np.empty(scored.logits.shape)
    for own in (scale == one for one in np.unique(scale)):
        part = scored.rows(own)
        probabilities[own] = probabilities_on_one_scale(part.logits, part.targets, part.label_mask, part.patients)
    return probabilities


def _corrections(scored: Scored, ranked: RankedCells, least: int) -> list[Correction]:
    """All contradicted labels, followed by the next ones in rank if there are fewer than `least`."""
    images = scored.table["image_id"].to_numpy()
    count = min(max(int(ranked.contradicted.sum()), least), len(ranked.rows))
    given = scored.targets[ranked.rows, ranked.columns]
    return [
        Correction(
            image=str(images[ranked.rows[at]]),
            label=scored.classes[ranked.columns[at]],
            given=int(given[at]),
            suggested=1 - int(given[at]),
            score=float(ranked.scores[at]),
            rank=at + 1,
        )
        for at in range(count)
    ]


def _class_rows(scored: Scored, ranked: RankedCells, probabilities: np.ndarray) -> list[Row]:
    thresholds = confident_thresholds(probabilities, scored.targets, scored.label_mask)
    given = scored.targets[ranked.rows, ranked.columns]
    rows = []
    for c, name in enumerate(scored.classes):
        wrong = ranked.contradicted & (ranked.columns == c)
        known = scored.label_mask[:, c]
        absent, present = (float(value) if value <= 1 else float("nan") for value in thresholds[c])
        row: Row = {"class": name, "labels": int(known.sum()), "positives": int(scored.targets[known, c].sum())}
        row |= {"threshold_present": present, "threshold_absent": absent}
        rows.append(row | {f"contradicted_{side}": int((wrong & (given == side)).sum()) for side in (1, 0)})
    return rows


def _report(summary: CorrectionsSummary, folder: Path, page: int) -> None:
    def cell(value: object) -> str:
        """A count or a threshold; a dash for an undefined threshold."""
        return str(value) if isinstance(value, int) else f"{value:.3f}".replace("nan", "-")

    columns = {
        "labels": "labels", "positives": "positives", "threshold of 1": "threshold_present",
        "threshold of 0": "threshold_absent", "1, contradicted": "contradicted_1", "0, contradicted": "contradicted_0",
    }  # fmt: skip
    rows = [[str(row["class"]), *(cell(row[name]) for name in columns.values())] for row in summary.classes]
    data(table(["class", *columns], shortened(rows, f"{folder}/corrections.json")))
    more = summary.listed - summary.contradicted
    say(
        f"{summary.contradicted} of {summary.labels} known labels of {summary.images} images are contradicted by the scores"
        f"{f', {more} more are listed' if more > 0 else ''}: {folder}/corrections.csv"
    )
    if page:
        say(f"review them in {folder}/review.html ({page / 1e6:.1f} MB, opens without a network), and save the CSV there")
    say("apply what was confirmed: cxrlt merge … --corrections FILE")
