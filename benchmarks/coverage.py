"""How often 95 % intervals contain the true value, and how often tests find a difference where there is none.

python benchmarks/coverage.py intervals|tests|decisions [SAMPLES] [DATA] ["NETWORK;..."] [IMAGES,...]

DATA is the folder of real networks' scores, or CXRLT_REAL_DATA names it: `logits/*.npz` (25,596 images, 9 a patient), and
`experts/chexnet-probabilities.csv.gz` with `chestxray14/Data_Entry_2017_v2020.csv.gz` (16,530 images, 3.5 a patient).

The images of a network are the population: its AP is the true one. A sample draws patients with replacement, each with all
images. Twelve classes of a long tail are added, whose positives are thinned patient by patient. `chexnet-single` takes each
image for a patient.
"""

import os
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from cxrlt_cli.metrics.bootstrap import resample
from cxrlt_cli.metrics.intervals import combined_interval, mean_proportion_interval, percentile_interval
from cxrlt_cli.metrics.paired import paired, score_all
from cxrlt_cli.metrics.proportions import f1_proportion, proportion
from cxrlt_cli.metrics.ranking import average_precision, means_of_defined, per_class
from cxrlt_cli.metrics.ranking_intervals import ClassEstimates, estimate
from cxrlt_cli.metrics.resampled_decisions import resample_decisions
from cxrlt_cli.metrics.thresholds import at_specificity, best_f1, decide

NETWORKS = ("chexnet", "chexnet-single", "resnet50_seed0", "densenet121_seed1")
PAIRS = ("resnet50_seed0,densenet121_seed1,single", "vit_small_seed0,resnet50_seed1,clustered")
IMAGES = (150, 500, 1000, 5000, 12_000)
CLASSES, RESAMPLES, PERMUTATIONS = 14, 400, 399
BINS = (1, 2, 3, 4, 5, 6, 8, 10, 13, 17, 25, 50, 100, 250)  # positive patients at which a column of the tables begins


@dataclass(frozen=True)
class Population:
    """Scores (N, C), labels (N, C), which of them are known (N, C), and patients (N,) numbered from 0."""

    scores: np.ndarray
    targets: np.ndarray
    label_mask: np.ndarray
    patients: np.ndarray


def read_network(data: Path, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores and labels (N, 14), and the patient of each image."""
    if not name.startswith("chexnet"):
        found = np.load(data / f"logits/{name}.npz")
        return found["test_logits"], found["test_labels"].astype(np.uint8), found["test_patient"]
    table = pd.read_csv(data / "experts/chexnet-probabilities.csv.gz")
    entries = pd.read_csv(data / "chestxray14/Data_Entry_2017_v2020.csv.gz").set_index("Image Index").loc[table["Image Index"]]
    classes = [column.removeprefix("prob_") for column in table.columns[1:]]
    targets = np.array([[c in text.split("|") for c in classes] for text in entries["Finding Labels"]], dtype=np.uint8)
    scores = table.iloc[:, 1:].to_numpy(np.float32)
    return scores, targets, np.arange(len(scores)) if name == "chexnet-single" else entries["Patient ID"].to_numpy()


def with_tail(scores: list[np.ndarray], targets: np.ndarray, patients: np.ndarray) -> tuple[list[np.ndarray], Population]:
    """Twelve classes more: of a random class the positives of 1 to 15 % of the patients, the other positives unknown."""
    draws, codes = np.random.default_rng(5), np.unique(patients, return_inverse=True)[1]
    columns, labels, known = list(range(CLASSES)), [targets], [np.ones(targets.shape, dtype=bool)]
    for _ in range(12):
        c, kept = draws.permutation(13)[0], np.exp(draws.uniform(np.log(0.01), np.log(0.15)))
        inside = (draws.random(codes.max() + 1) < kept)[codes][:, None]
        columns.append(c)
        labels.append(targets[:, [c]] & inside)
        known.append((targets[:, [c]] == 0) | inside)
    all_scores = [one[:, columns] for one in scores]
    return all_scores, Population(all_scores[0], np.hstack(labels).astype(np.uint8), np.hstack(known), codes)


def samples(population: Population, images: int, count: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
    """Rows of a sample of about as many images, the number of each row's patient in it, and a seed for resamples."""
    draws, sizes = np.random.default_rng(seed), np.bincount(population.patients)
    order, ends = np.argsort(population.patients, kind="stable"), np.cumsum(sizes)
    for _ in range(count):
        drawn = draws.integers(len(sizes), size=int(3 * images / sizes.mean()) + 20)
        drawn = drawn[: np.searchsorted(np.cumsum(sizes[drawn]), images) + 1]
        rows = np.concatenate([order[ends[patient] - sizes[patient] : ends[patient]] for patient in drawn])
        yield rows, np.repeat(np.arange(len(drawn)), sizes[drawn]), int(draws.integers(1 << 30))


class Tally:
    """Cases by row and column of a table: how many there were, how often something held, and widths or errors summed."""

    def __init__(self) -> None:
        self._cells: dict[tuple[str, object], list[tuple[bool, float]]] = defaultdict(list)

    def add(self, row: str, column: object, held: bool, size: float) -> None:
        """One case."""
        self._cells[row, column].append((bool(held), float(size)))

    def interval(self, row: str, column: object, bounds: np.ndarray, truth: float) -> None:
        """Whether an interval contains the true value, and its width; nothing where there is no interval."""
        if not np.isnan(bounds).any():
            self.add(row, column, bounds[0] <= truth <= bounds[1], bounds[1] - bounds[0])

    def print(self, title: str, columns: list[object]) -> None:
        """A Markdown table of `percent / mean size (cases)`."""
        print(f"\n{title}\n\n| | {' | '.join(map(str, columns))} |\n|{' --- |' * (len(columns) + 1)}")
        for row in dict.fromkeys(name for name, _ in self._cells):
            cells = []
            for column in columns:
                found = np.array(self._cells.get((row, column), []), dtype=float).reshape(-1, 2)
                text = f"{100 * found[:, 0].mean():.1f} / {found[:, 1].mean():+.3f} ({len(found)})" if len(found) else ""
                cells.append(text)
            print(f"| {row} | {' | '.join(cells)} |", flush=True)


def bin_of(patients: int) -> str:
    """The column of a number of positive patients."""
    at = max(index for index, first in enumerate(BINS) if first <= patients)
    if at + 1 == len(BINS):
        return f"{BINS[at]} or more"
    return str(BINS[at]) if BINS[at + 1] == BINS[at] + 1 else f"{BINS[at]}-{BINS[at + 1] - 1}"


def measure_intervals(data: Path, count: int, networks: list[str], sizes: list[int]) -> None:
    """AP and AUROC by class and as means, the interval of this version beside the percentiles over resamples."""
    by_class, by_size, bias = Tally(), Tally(), Tally()
    for size in sizes:
        for name in networks:
            scores, targets, patients = read_network(data, name)
            _, population = with_tail([scores], targets, patients)
            truth = per_class(population.scores, population.targets, population.label_mask)
            for rows, codes, seed in samples(population, size, count, seed=7):
                sample = population.targets[rows], population.label_mask[rows], codes
                drawn = resample(population.scores[rows][None], *sample, RESAMPLES, seed)
                _, ap, auroc = estimate(population.scores[rows], *sample, drawn)
                add_classes(by_class, bias, (ap, truth.ap), (auroc, truth.auroc))
                for classes in (14, 26):
                    add_means(by_size, bias, f"{name}, {classes} classes", size, classes, (ap, truth.ap), (auroc, truth.auroc))
        by_size.print("means over classes: coverage in % / mean width (samples), by images", list(sizes))
        print(flush=True)
    bins: list[object] = [bin_of(first) for first in BINS]
    by_class.print("classes: coverage in % / mean width (cases), by patients with a positive", bins)
    bias.print("mean error of the estimate: % too high / mean error (cases)", [*bins, *sizes])


def add_classes(by_class: Tally, bias: Tally, *metrics: tuple[ClassEstimates, np.ndarray]) -> None:
    """Every class with a positive."""
    for (found, truth), name in zip(metrics, ("AP", "AUROC"), strict=True):
        low_high, percentiles = found.interval, percentile_interval(found.resampled)
        for c in np.flatnonzero(~np.isnan(found.value) & (found.patients > 0)):
            column = bin_of(int(found.patients[c]))
            by_class.interval(f"{name}, percentiles", column, percentiles[:, c], truth[c])
            by_class.interval(name, column, low_high[:, c], truth[c])
            if name == "AP":
                for label, value in (("AP", found.value[c]), ("corrected AP", found.corrected[c])):
                    bias.add(label, column, value > truth[c], value - truth[c])
                inside = low_high[0, c] <= found.value[c] <= low_high[1, c]
                if not np.isnan(low_high[0, c]):
                    bias.add("AP lies outside its own interval (%)", column, not inside, 0.0)


def add_means(
    tally: Tally, bias: Tally, name: str, size: int, classes: int, *metrics: tuple[ClassEstimates, np.ndarray]
) -> None:
    """The means over the first classes that have a positive in the sample."""
    chosen = np.arange(len(metrics[0][1])) < classes
    for (found, truth), metric in zip(metrics, ("mAP", "mean AUROC"), strict=True):
        mean, true = found.mean(chosen), truth[chosen & ~np.isnan(found.value)].mean()
        percentiles = percentile_interval(means_of_defined(found.resampled[:, chosen])[:, None])[:, 0]
        tally.interval(f"{metric} of {name}, percentiles", size, percentiles, true)
        tally.interval(f"{metric} of {name}", size, mean.interval, true)
        if metric == "mAP":
            for label, value in ((f"mAP of {name}", mean.value), (f"corrected mAP of {name}", mean.corrected)):
                bias.add(label, size, value > true, value - true)


def equally_good(scores: list[np.ndarray], population: Population) -> np.ndarray:
    """(2, N, C) two networks, of which the better one of each class has so much noise added that their AP is the same."""
    draws, both = np.random.default_rng(1), np.stack(scores).astype(np.float32)
    for c in range(both.shape[2]):
        rows = population.label_mask[:, c]
        targets, noise = population.targets[rows, c], draws.normal(size=rows.sum()).astype(np.float32)
        ap = [average_precision(one[rows, c], targets) for one in both]
        better, low, high = int(np.argmax(ap)), 0.0, 20.0
        plain = both[better, rows, c]
        for _ in range(30):
            middle = (low + high) / 2
            worse = average_precision(plain + np.float32(middle * plain.std()) * noise, targets) < min(ap)
            low, high = (low, middle) if worse else (middle, high)
        both[better, rows, c] = plain + np.float32(low * plain.std()) * noise
    return both


def measure_tests(data: Path, count: int, pairs: list[str], sizes: list[int]) -> None:
    """p <= 0.05 between two networks of the same AP, by class and for mAP; and whether the interval contains 0."""
    by_class, by_size = Tally(), Tally()
    for size in sizes:
        for pair in pairs:
            first, second, kind = pair.split(",")
            loaded = [read_network(data, name) for name in (first, second)]
            who = np.arange(len(loaded[0][2])) if kind == "single" else loaded[0][2]
            scores, population = with_tail([one[0] for one in loaded], loaded[0][1], who)
            both = equally_good(scores, population)
            for rows, codes, seed in samples(population, size, count, seed=3):
                scorers = score_all(
                    both[:, rows], population.targets[rows], population.label_mask[rows], codes, RESAMPLES, seed
                )
                ap, _ = paired(scorers, [0], [1], PERMUTATIONS, seed)
                found, dropped = ap.of_classes(), resampled_p(ap.resampled)
                for c in np.flatnonzero(found.positive_patients):
                    column = bin_of(int(found.positive_patients[c]))
                    by_class.add("p by swapping patients", column, found.p[c] <= 0.05, found.p[c])
                    by_class.add("p by resamples, undefined ones left out", column, dropped[c] <= 0.05, dropped[c])
                    by_class.interval(
                        "interval of the difference contains it", column, np.array([found.low[c], found.high[c]]), 0.0
                    )
                for classes in (14, 26):
                    mean = ap.of_mean(np.arange(len(found.p)) < classes)
                    by_size.add(f"p of mAP, {pair}, {classes} classes", size, mean.p[0] <= 0.05, mean.p[0])
                    by_size.interval(
                        f"interval of it, {pair}, {classes} classes", size, np.array([mean.low[0], mean.high[0]]), 0.0
                    )
        by_size.print("means: p <= 0.05 in % / mean p; interval: coverage in % / mean width (samples)", list(sizes))
        by_class.print("classes, by patients with a positive: the same", [bin_of(first) for first in BINS])


def resampled_p(differences: np.ndarray) -> np.ndarray:
    """(C,) twice the part of the resamples on the rarer side of 0, without those in which the difference is undefined."""
    count = (~np.isnan(differences)).sum(axis=0)
    rarer = np.minimum((differences <= 0).sum(axis=0), (differences >= 0).sum(axis=0))
    p: np.ndarray = np.minimum(1.0, 2 * (rarer + 1) / (count + 1))
    return p


def measure_decisions(data: Path, count: int, networks: list[str], sizes: list[int]) -> None:
    """Means of F1 and of sensitivity at thresholds of another sample: this version's interval, and percentiles."""
    by_size = Tally()
    for name in networks:
        scores, targets, patients = read_network(data, name)
        _, population = with_tail([scores], targets, patients)
        elsewhere = next(samples(population, 3000, 1, seed=99))[0]
        for rule, metric in (("f1", "f1"), ("specificity", "sensitivity")):
            thresholds = thresholds_of(rule, population, elsewhere)
            truth = getattr(decide(population.scores, population.targets, population.label_mask, thresholds), metric)
            for size in sizes:
                for rows, codes, seed in samples(population, size, count, seed=31):
                    given = population.targets[rows], population.label_mask[rows]
                    called = population.scores[rows] >= thresholds
                    value = getattr(decide(population.scores[rows], *given, thresholds), metric)
                    drawn = getattr(resample_decisions(called, *given, codes, RESAMPLES, seed), metric)
                    bounds, trials = exact_bounds(metric, called, *given, codes)
                    for classes in (14, 26):
                        part = slice(classes)
                        true = truth[part][~np.isnan(value[part])].mean()
                        of_classes = value[part], bounds[:, part]
                        weights, again = np.ones(classes), drawn[:, part]
                        if metric == "f1":
                            low_high = combined_interval(*of_classes, weights, again)
                        else:
                            low_high = mean_proportion_interval(*of_classes, trials[part], weights, again)
                        percentiles = percentile_interval(means_of_defined(drawn[:, part])[:, None])[:, 0]
                        by_size.interval(f"mean {metric} of {name}, {classes} classes, percentiles", size, percentiles, true)
                        by_size.interval(f"mean {metric} of {name}, {classes} classes", size, low_high, true)
        by_size.print("means over classes: coverage in % / mean width (samples), by images", list(sizes))


def thresholds_of(rule: str, population: Population, rows: np.ndarray) -> np.ndarray:
    """(C,) thresholds of the best F1, or of a specificity of 0.9, on some rows; infinite where there is none."""
    columns = zip(population.scores[rows].T, population.targets[rows].T, population.label_mask[rows].T, strict=True)
    known = [(scores[mask], targets[mask]) for scores, targets, mask in columns]
    found = np.array([best_f1(*one) if rule == "f1" else at_specificity(*one, 0.9) for one in known])
    return np.where(np.isnan(found), np.inf, found)


def exact_bounds(
    metric: str, called: np.ndarray, targets: np.ndarray, label_mask: np.ndarray, codes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(2, C) bounds of F1 or sensitivity of each class, and (C,) the effective number of trials."""
    ratio = f1_proportion if metric == "f1" else proportion
    columns = zip(called.T, targets.T == 1, label_mask.T, strict=True)
    found = [ratio(one[known], positive[known], codes[known]) for one, positive, known in columns]
    return np.array([[one.low for one in found], [one.high for one in found]]), np.array([one.trials for one in found])


def main() -> None:
    """Reads the arguments and measures."""
    what, *rest = sys.argv[1:]
    count = int(rest[0]) if rest else 100
    data = Path(rest[1]) if len(rest) > 1 else Path(os.environ["CXRLT_REAL_DATA"])
    names = list(PAIRS if what == "tests" else NETWORKS)
    names = rest[2].split(";") if len(rest) > 2 and rest[2] else names
    sizes = [int(text) for text in rest[3].split(",")] if len(rest) > 3 else list(IMAGES)
    torch.set_num_threads(1)
    measures = {"intervals": measure_intervals, "tests": measure_tests, "decisions": measure_decisions}
    measures[what](data, count, names, sizes)


if __name__ == "__main__":
    main()
