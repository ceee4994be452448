"""What a study starts from, what stops it, and what its runs took."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cxrlt_cli.artifacts.csv_writer import write_csv
from cxrlt_cli.artifacts.dataset import Dataset
from cxrlt_cli.artifacts.embeddings import LabelEmbeddings, read_embeddings
from cxrlt_cli.artifacts.files import sha256_of, write_text
from cxrlt_cli.artifacts.run import Run
from cxrlt_cli.artifacts.run_config import read_run_config
from cxrlt_cli.artifacts.study import read_study
from cxrlt_cli.errors import UserError, listed
from cxrlt_cli.labels.groups import assign
from cxrlt_cli.study.plan import Given, Task
from cxrlt_cli.study.runner import Failed, taken
from cxrlt_cli.workspace import Workspace


def read_given(embeddings_path: Path | None, workspace: Workspace, dataset: Dataset) -> tuple[Given, LabelEmbeddings]:
    """What a study starts from, and its label embeddings.

    Args:
        embeddings_path: of the label embeddings; None for those of the workspace.
        workspace: of the user; runs go to its `studies/`.
        dataset: as it was read.

    Raises:
        UserError: embeddings that are missing or damaged, or a class without one.
    """
    root = workspace.root.resolve()
    embeddings = (embeddings_path or workspace.label_embeddings).resolve()
    content = read_embeddings(embeddings)
    content.of(dataset.classes, embeddings)
    studies = Workspace(root / "studies")
    both = [sha256_of(path) for path in (dataset.path, embeddings)]
    given = Given(
        dataset=dataset.path.resolve(),
        embeddings=embeddings,
        encoder=content.encoder["name"],
        classes=studies.root / "embeddings" / f"classes-{both[0][:8]}.txt",
        texts=studies.root / "embeddings" / f"texts-{both[1][:8]}.csv",
        fingerprint="".join(both),
        merge=dataset.header.provenance.config,
        workspace=Workspace(root),
        studies=studies,
    )
    return given, content


def write_given(given: Given, classes: Sequence[str], embeddings: LabelEmbeddings) -> None:
    """Writes classes and the texts that were encoded, as `embed-labels --texts` reads them with `--text prompt`."""
    write_text(given.classes, "\n".join(classes) + "\n")
    texts = zip(embeddings.classes, embeddings.prompts, strict=True)
    rows = ([name, prompt, prompt] for name, prompts in texts for prompt in prompts)
    write_csv(given.texts, ["class", "prompt", "description"], rows)


def refuse_other(folder: Path, digest: str, overwrite: bool) -> None:
    """Raises UserError where a folder holds another study.

    Args:
        folder: of the study.
        digest: of its variants and their artifacts.
        overwrite: whether another study may be replaced.
    """
    if not overwrite:
        there = read_study(folder)
        if there is not None and there.plan != digest:
            raise UserError(
                f"{folder} holds a study of other variants, flags or seeds, or of another dataset",
                "--overwrite replaces its table (runs stay); or give this one another --name",
            )


def refuse_failures(failed: dict[str, Failed]) -> None:
    """Raises UserError where commands failed; their logs are named."""
    if failed:
        tasks = {failure.task.name: failure for failure in failed.values()}
        first = next(iter(tasks.values()))
        raise UserError(
            f"{len(tasks)} commands failed: {listed(tasks)}; the first: {first.message}",
            f"see studies/logs/{first.task.name}.txt; what is done is kept: fix it and rerun",
        )


def groups_of(part: Dataset, prevalence: np.ndarray) -> Sequence[str]:
    """Seen and unseen if classes are held out, else head, medium and tail.

    Args:
        part: the evaluated images.
        prevalence: (C,) of `train_prevalence`.
    """
    return ["unseen" if unseen else "seen" for unseen in part.unseen] if part.unseen.any() else assign(prevalence)


def train_prevalence(dataset: Dataset) -> np.ndarray:
    """(C,) fraction of positives among the known labels of the train split."""
    train = dataset.split("train")
    positives, label_mask = train.targets.sum(axis=0, dtype=np.int64), train.label_mask.sum(axis=0)
    return np.asarray(positives / np.maximum(label_mask, 1))


def training_cost(runs: Sequence[Task], folder: Path) -> dict[str, Any]:
    """What trainings took: mean `minutes`, `peak_gb` of main memory, and `weights` of a network; None where it is not known.

    Args:
        runs: tasks of `cxrlt train`.
        folder: of the studies.
    """
    costs = [taken(run, folder) for run in runs]
    minutes = [cost["minutes"] for cost in costs if "minutes" in cost]
    peaks = [cost["peak_bytes"] for cost in costs if "peak_bytes" in cost]
    cost = {"minutes": float(np.mean(minutes)) if minutes else None, "peak_gb": max(peaks) / 1e9 if peaks else None}
    return cost | {"weights": read_run_config(Run(runs[0].made)).weight_count if runs else None}
