"""The study `folds`: out-of-fold scores of all training images, a table of the folds, and an ensemble of their runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np

from cxrlt_cli.artifacts.data_sources import DataSource, joined_sources
from cxrlt_cli.artifacts.dataset import Dataset
from cxrlt_cli.artifacts.ensemble import Ensemble, EnsembleHeader, EnsembleMember, write_ensemble
from cxrlt_cli.artifacts.files import sha256_of
from cxrlt_cli.artifacts.folds import all_folds
from cxrlt_cli.artifacts.predictions import Predictions, PredictionsHeader, read_predictions, rows_of, write_predictions
from cxrlt_cli.artifacts.provenance import Provenance
from cxrlt_cli.artifacts.run import Run
from cxrlt_cli.artifacts.study import ENSEMBLE, OUT_OF_FOLD, TEST, StudyResult
from cxrlt_cli.errors import UserError
from cxrlt_cli.labels.groups import rule
from cxrlt_cli.study.metrics import Reference, class_rows, mean_rows, score
from cxrlt_cli.study.spec import Study, Variant
from cxrlt_cli.study.start import groups_of, train_prevalence

Row = dict[str, Any]
MEAN, POOLED, TESTED = "mean of folds", "out of fold", "ensemble, test"
_ASKS = "How well does it do on held-out training images, fold by fold?"


def fold_study(dataset: Dataset) -> Study:
    """A variant per fold. Raises UserError where the dataset has no folds."""
    if not dataset.folds:
        raise UserError(f"{dataset.path} has no folds", "make them: cxrlt merge --folds 5 --overwrite")
    variants = tuple(Variant(f"fold {fold}", train=(f"--fold={fold}",)) for fold in range(dataset.folds))
    return Study("folds", _ASKS, variants)


@dataclass(frozen=True)
class FoldScores:
    """What the runs of all folds scored.

    Attributes:
        dataset: with folds.
        runs: the runs of each fold, one per seed.
        out_of_fold: scores of all images that some fold holds out; with one seed, those of the run itself.
        test: of the test split, by all runs as an ensemble; None where the dataset has none.
        provenance: of what is written.
    """

    dataset: Dataset
    runs: list[list[Run]]
    out_of_fold: Predictions
    test: Predictions | None
    provenance: Provenance

    @classmethod
    def read(cls, dataset: Dataset, runs: list[list[Run]], test: Path | None, provenance: Provenance) -> Self:
        """Reads the validation scores of all runs and the scores of the test split.

        Args:
            dataset: with folds.
            runs: the finished runs of each fold, one per seed.
            test: predictions of the test split.
            provenance: of what is written.

        Raises:
            UserError: scores that are damaged, or that lack images of their fold.
        """
        part = all_folds(dataset)
        logits = np.empty(part.targets.shape, dtype=np.float32)
        learned_from: list[DataSource] | None = []
        for fold, seeds in enumerate(runs):
            rows = (part.table["fold"] == fold).to_numpy()
            files = [read_predictions(run.validation) for run in seeds]
            own = part.rows(rows)
            logits[rows] = _mean([_in_order(file, run.validation, own) for file, run in zip(files, seeds, strict=True)])
            learned_from = joined_sources(learned_from, *(file.header.data_sources for file in files))
        header = PredictionsHeader(
            runs=[run.folder.name for seeds in runs for run in seeds],
            split="train",
            out_of_fold=True,
            merge="logits" if len(runs[0]) > 1 else "none",
            pixels=dataset.settings,
            data_sources=learned_from,
            provenance=provenance,
        )
        found = Predictions(part.table["image_id"].tolist(), dataset.classes, logits, header)
        return cls(dataset, runs, found, read_predictions(test) if test else None, provenance)

    @property
    def files(self) -> list[str]:
        """The names of the files that `write` makes."""
        return [OUT_OF_FOLD, ENSEMBLE, *([TEST] if self.test else [])]

    def write(self, folder: Path) -> None:
        """Writes scores and ensemble. Raises UserError where the folder cannot be written to."""
        write_predictions(folder / OUT_OF_FOLD, self.out_of_fold)
        if self.test:
            write_predictions(folder / TEST, self.test)
        every = [run for seeds in self.runs for run in seeds]
        members = [
            EnsembleMember(
                name=run.folder.name,
                runs=[run.folder.name],
                weight=1 / len(every),
                file=str(run.validation),
                sha256=sha256_of(run.validation),
                views=1,
                mean_ap=None,
            )
            for run in every
        ]
        header = EnsembleHeader(self.dataset.classes, provenance=self.provenance)
        write_ensemble(folder / ENSEMBLE, Ensemble(members, "geomean", header))

    @cached_property
    def evaluated(self) -> dict[str, tuple[Dataset, np.ndarray]]:
        """Name of a row -> the images, with the labels that evaluate them, and their (N, C) logits."""
        part = all_folds(self.dataset)
        fold = part.table["fold"].to_numpy()
        own = {f"fold {k}": fold == k for k in range(self.dataset.folds)} | {POOLED: fold >= 0}
        found = {name: (part.rows(rows), self.out_of_fold.logits[rows]) for name, rows in own.items()}
        if self.test:
            part = self.dataset.split("test")
            found[TESTED] = (part, _in_order(self.test, Path(TEST), part))
        return found


def fold_result(study: Study, scores: FoldScores, drawn: tuple[int, int], costs: Sequence[Row]) -> StudyResult:
    """What `study.json` holds, but its plan.

    Args:
        study: of `fold_study`.
        scores: of all runs.
        drawn: the first seed, and the number of bootstrap resamples of the patients.
        costs: what the training of each fold took.
    """
    prevalence = train_prevalence(scores.dataset)
    means: list[Row] = []
    classes: list[Row] = []
    for name, (part, logits) in scores.evaluated.items():
        patients = part.table["patient_id"].to_numpy()
        reference = Reference(part.classes, groups_of(part, prevalence), part.targets, part.label_mask, patients)
        scored = score([[logits]], reference, (drawn[1], 1))
        facts = {"images": len(part.table), "patients": len(set(patients)), "classes": int(np.isfinite(scored[0].point).sum())}
        means += [row | facts if row["mean"] == "all" else row for row in mean_rows([name], scored, reference)]
        classes += class_rows([name], scored, reference)
    means += _mean_of_folds(means, scores.dataset.folds)
    part = scores.evaluated[POOLED][0]
    names = [variant.name for variant in study.variants]
    flags = [{"train": list(variant.train)} for variant in study.variants]
    of_all = {row["variant"]: row["mAP"] for row in means if row["mean"] == "all"}
    return StudyResult(
        study=study.name,
        asks=study.asks,
        split="train",
        images=len(part.table),
        patients=int(part.table["patient_id"].nunique()),
        folds=scores.dataset.folds,
        seeds=len(scores.runs[0]),
        first_seed=drawn[0],
        resamples=drawn[1],
        group_rule=rule(),
        groups=dict(zip(part.classes, groups_of(part, prevalence), strict=True)),
        chain=False,
        variants={name: own | {"training": cost} for name, own, cost in zip(names, flags, costs, strict=True)},
        bases={},
        means=means,
        seeds_map={name: [of_all[name]] for name in names},
        per_class=classes,
        runs={name: [[run.folder.name] for run in seeds] for name, seeds in zip(names, scores.runs, strict=True)},
        provenance=scores.provenance,
    )


def _mean_of_folds(means: Sequence[Row], folds: int) -> list[Row]:
    """The mean over folds of each mean over classes, and the standard deviation over folds."""
    names = [f"fold {fold}" for fold in range(folds)]
    rows = []
    for mean in dict.fromkeys(row["mean"] for row in means):
        found = {
            key: [row[key] for row in means if row["mean"] == mean and row["variant"] in names] for key in ("mAP", "auroc")
        }
        if len(found["mAP"]) == folds:  # a group may have no class with a positive in some fold
            row: Row = {
                "variant": MEAN,
                "mean": mean,
                "mAP": float(np.mean(found["mAP"])),
                "auroc": float(np.mean(found["auroc"])),
            }
            rows.append(row | {"sd_of_folds": float(np.std(found["mAP"], ddof=1))})
    return rows


def _in_order(predictions: Predictions, path: Path, part: Dataset) -> np.ndarray:
    """(N, C) logits in the order of images and classes of `part`."""
    rows = rows_of(path, predictions, part.table["image_id"].tolist())
    columns = [predictions.classes.index(name) for name in part.classes]
    return np.asarray(predictions.logits[rows][:, columns])


def _mean(logits: list[np.ndarray]) -> np.ndarray:
    """The mean over seeds; the scores themselves where there is one."""
    return logits[0] if len(logits) == 1 else np.stack(logits).mean(axis=0, dtype=np.float64).astype(np.float32)
