"""How many wrong labels of ChestX-ray14 a reviewer finds among the first 50, 100 and 200, with CheXNet's scores.

Usage: python benchmarks/label_errors.py EXPERTS Data_Entry_2017_v2020.csv.gz

EXPERTS has Google's expert labels (`all-findings-labels.csv.gz`, `four-findings-test.csv.gz`,
`four-findings-validation.csv.gz`) and `chexnet-probabilities.csv.gz`. A label of NIH's is wrong where the experts say the
other. Thresholds and fits are made on all scored images with NIH's labels; the ranking is then cut to the labels that experts
gave. "random" is the expected number. "cleanlab, list" are the issues that it finds by confident learning, ranked by
self-confidence over all classes: the list ends, and its numbers go on as random ones do. "cleanlab, scores" is its label
quality score, self-confidence, for all labels. cleanlab is run where it is installed, and must give the same. Intervals: 2.5
and 97.5 percentiles over resamples of the patients, for counts and for differences (paired).
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from cxrlt_cli.clean.confident_learning import RankedCells, probabilities_on_one_scale, rank_cells
from cxrlt_cli.console import table
from cxrlt_cli.metrics.calibration import sigmoid

BUDGETS = (50, 100, 200)
RESAMPLES = 2000
#: Finding of the four-findings study -> NIH's findings that it takes together; fracture is not among NIH's.
OF_FOUR = {
    "Pneumothorax": ["Pneumothorax"],
    "Nodule or mass": ["Nodule", "Mass"],
    "Airspace opacity": ["Atelectasis", "Consolidation", "Edema", "Infiltration", "Pneumonia"],
}


@dataclass(frozen=True)
class Task:
    """Scores and labels of all images, and what experts say of some.

    Attributes:
        name: for the table.
        logits: (N, C) of all scored images.
        given: (N, C) uint8, NIH's labels.
        patients: (N,) int.
        wrong: (N, C) bool, where the experts say the other; False where they say nothing.
        reviewed: (N, C) bool, where experts labelled.
    """

    name: str
    logits: np.ndarray
    given: np.ndarray
    patients: np.ndarray
    wrong: np.ndarray
    reviewed: np.ndarray


def logit(p: np.ndarray) -> np.ndarray:
    p = np.clip(p, 1e-7, 1 - 1e-7)
    return np.log(p / (1 - p))


def read_tasks(experts: Path, entries: Path) -> list[Task]:
    scores = pd.read_csv(experts / "chexnet-probabilities.csv.gz").set_index("Image Index")
    findings = [name.removeprefix("prob_") for name in scores.columns]
    nih = pd.read_csv(entries).set_index("Image Index").loc[scores.index]
    given = np.stack([nih["Finding Labels"].str.split("|").map(lambda own, n=n: n in own) for n in findings], axis=1)
    p, patients = scores.to_numpy(float), nih["Patient ID"].to_numpy()
    fourteen = pd.read_csv(experts / "all-findings-labels.csv.gz").set_index("Image ID")
    parts = [pd.read_csv(experts / f"four-findings-{name}.csv.gz") for name in ("test", "validation")]
    four = pd.concat(parts).set_index("Image Index")
    columns = {group: [findings.index(name) for name in names] for group, names in OF_FOUR.items()}
    any_p = np.stack([1 - np.prod(1 - p[:, own], axis=1) for own in columns.values()], axis=1)
    any_given = np.stack([given[:, own].any(axis=1) for own in columns.values()], axis=1)

    def task(name: str, p: np.ndarray, given: np.ndarray, experts: pd.DataFrame, names: list[str]) -> Task:
        truth = experts.reindex(scores.index)[names]
        reviewed, positive = truth.isin(["YES", "NO"]).to_numpy(), (truth == "YES").to_numpy()
        return Task(name, logit(p), given.astype(np.uint8), patients, reviewed & (positive != given), reviewed)

    tasks = [
        task("fourteen findings", p, given, fourteen, [name.replace("_", " ") for name in findings]),
        task("pneumothorax, nodule or mass", any_p[:, :2], any_given[:, :2], four, list(OF_FOUR)[:2]),
        task("the same and airspace opacity", any_p, any_given, four, list(OF_FOUR)),
    ]
    return [*tasks, *(class_weighted(one) for one in tasks[:2])]


def class_weighted(task: Task) -> Task:
    """The scores as a network trained with class weights would give them: each class as if half of its images were positive."""
    prevalence = task.given.mean(axis=0)
    return Task(f"{task.name}, class-weighted", task.logits - logit(prevalence), *list(vars(task).values())[2:])


def found(ranked: RankedCells, task: Task, weights: np.ndarray, ends: bool) -> np.ndarray:
    """Wrong labels among the first of `BUDGETS` cells; a patient's cells count `weights` times.

    Args:
        ranked: all cells.
        task: which of them experts labelled.
        weights: (patients,) how often each is drawn.
        ends: whether the list ends after the contradicted cells, and random ones follow.
    """
    inside = task.reviewed[ranked.rows, ranked.columns]
    rows, columns, listed = ranked.rows[inside], ranked.columns[inside], ranked.contradicted[inside]
    w = weights[task.patients[rows]].astype(float)
    wrong = w * task.wrong[rows, columns]
    if ends:
        rest = ~listed
        wrong[rest] = w[rest] * (wrong[rest].sum() / max(w[rest].sum(), 1))
    reviewed, errors = np.append(0, np.cumsum(w)), np.append(0, np.cumsum(wrong))
    return np.interp(BUDGETS, reviewed, errors)


def measure(task: Task) -> list[list[str]]:
    codes = np.unique(task.patients, return_inverse=True)[1]
    task = Task(task.name, task.logits, task.given, codes, task.wrong, task.reviewed)
    known = np.ones(task.given.shape, dtype=bool)
    raw = rank_cells(sigmoid(task.logits), task.given, known)
    require_cleanlab(task, raw)
    one_scale = rank_cells(probabilities_on_one_scale(task.logits, task.given, known, codes), task.given, known)
    ways = {
        "cleanlab, list": (raw, True),
        "cleanlab, scores": (by_score(raw), False),
        "cxrlt, raw": (raw, False),
        "cxrlt, one-scale (default)": (one_scale, False),
    }
    drawn_from = np.unique(codes[task.reviewed.any(axis=1)])

    def counts(weights: np.ndarray) -> np.ndarray:
        per_cell = weights[codes][:, None] * task.reviewed
        random = np.array(BUDGETS) * (per_cell * task.wrong).sum() / per_cell.sum()
        return np.stack([random, *(found(ranked, task, weights, ends) for ranked, ends in ways.values())])

    once = np.zeros(codes.max() + 1)
    once[drawn_from] = 1
    here, resampled = counts(once), []
    for number in range(RESAMPLES):
        draws = np.random.default_rng((0, number)).choice(drawn_from, size=len(drawn_from))
        resampled.append(counts(np.bincount(draws, minlength=len(once))))
    low, high = np.quantile(resampled, [0.025, 0.975], axis=0)
    differences = np.array(resampled) - np.array(resampled)[:, 2:3]
    least, most = np.quantile(differences, [0.025, 0.975], axis=0)
    listed = int((raw.contradicted & task.reviewed[raw.rows, raw.columns]).sum())
    print(f"\n{task.name}: {int(task.reviewed.sum())} labels of {int(task.reviewed.any(axis=1).sum())} images and", end=" ")
    print(f"{len(drawn_from)} patients, {int(task.wrong.sum())} of them wrong; {listed} on cleanlab's list")
    rows = []
    for at, way in enumerate(["random", *ways]):
        cells = [f"{here[at, k]:.0f} ({low[at, k]:.0f}-{high[at, k]:.0f})" for k in range(len(BUDGETS))]
        more = [f"{here[at, k] - here[2, k]:+.0f} ({least[at, k]:+.0f} to {most[at, k]:+.0f})" for k in range(len(BUDGETS))]
        rows.append([way, *cells, *(more if at > 2 else [""] * len(BUDGETS))])
    return rows


def by_score(ranked: RankedCells) -> RankedCells:
    """The same cells by self-confidence alone."""
    order = np.argsort(ranked.scores, kind="stable")
    return RankedCells(ranked.rows[order], ranked.columns[order], ranked.scores[order], ranked.contradicted[order])


def require_cleanlab(task: Task, raw: RankedCells) -> None:
    """Compares our list and our scores with cleanlab's own, where it is installed."""
    try:
        from cleanlab.multilabel_classification.filter import find_multilabel_issues_per_class
        from cleanlab.multilabel_classification.rank import get_label_quality_scores_per_class
    except ImportError:
        print("cleanlab is not installed: its list is taken from cxrlt")
        return
    labels = [np.flatnonzero(row).tolist() for row in task.given]
    options = {"filter_by": "confident_learning", "return_indices_ranked_by": "self_confidence", "n_jobs": 1}
    theirs = find_multilabel_issues_per_class(labels, sigmoid(task.logits), **options)[0]
    quality = get_label_quality_scores_per_class(labels, sigmoid(task.logits))
    np.testing.assert_allclose(raw.scores, quality[raw.rows, raw.columns])
    for c, rows in enumerate(theirs):
        ours = raw.contradicted & (raw.columns == c)
        assert set(raw.rows[ours]) == set(rows), task.name
        np.testing.assert_allclose(raw.scores[ours], quality[rows, c])  # ties may be in another order


def main(experts: Path, entries: Path) -> None:
    names = [str(budget) for budget in BUDGETS]
    for task in read_tasks(experts, entries):
        rows = measure(task)
        print(table(["found among the first", *names, *(f"{name}, to cleanlab scores" for name in names)], rows))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
