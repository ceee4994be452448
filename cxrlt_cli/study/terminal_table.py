"""A study as text for the terminal."""

import math
from typing import Any

from cxrlt_cli.artifacts.study import StudyResult
from cxrlt_cli.console import escaped, table

Row = dict[str, Any]


def as_text(result: StudyResult) -> str:
    """The question, a row a variant, and what the columns mean.

    Args:
        result: of the study; undefined metrics are NaN.
    """
    rows: list[Row] = result.means
    names = list(result.variants)
    means = [mean for mean in dict.fromkeys(row["mean"] for row in rows) if mean != "all"]
    of = {(row["variant"], row["mean"]): row for row in rows}
    header = [
        "variant",
        "mAP",
        "± seeds",
        *means,
        "to base",
        "95 %",
        "± seeds",
        "95 % over seeds",
        "p",
        "p Holm",
        "min",
        "GB",
        "M weights",
    ]
    if result.chain:
        header += ["to former", "95 %", "p"]
    lines = [table(header, [_cells(name, of, means, result) for name in names])]
    scored_on = f"{result.split} split: {result.images:,} images of {result.patients:,} patients; "
    drawn, swaps = f"{result.resamples:,}", f"{result.permutations or 0:,}"
    by = f"intervals from {drawn} resamples of the patients, p-values from {swaps} permutations, both for these networks"
    return "\n".join(
        [
            escaped(result.asks),
            "",
            *lines,
            "",
            *_unseen_table(names, of, result),
            f"{scored_on}means of {result.seeds} seeds; {by}",
            "± seeds: standard deviation over seeds; 95 % over seeds: t interval of the paired differences of the seeds",
            "p Holm: corrected for the number of variants with the same base",
            "min, GB: duration and peak memory of a training; M weights: size of its network, in millions of weights",
            f"groups: {result.group_rule}",
        ]
    )


def folds_as_text(result: StudyResult) -> str:
    """A row a fold, all folds together, the ensemble on the test split, and the mean of folds.

    Args:
        result: of the study `folds`; undefined metrics are NaN.
    """
    rows: list[Row] = result.means
    of = {(row["variant"], row["mean"]): row for row in rows}
    means = [mean for mean in dict.fromkeys(row["mean"] for row in rows) if mean != "all"]
    header = ["scores of", "images", "patients", "classes", "mAP", "95 %", *means, "AUROC", "95 %", "min"]
    names = dict.fromkeys(row["variant"] for row in rows)
    seeds = f"; scores are means of {result.seeds} seeds" if result.seeds > 1 else ""
    lines = [
        escaped(result.asks),
        "",
        table(header, [_fold_cells(name, of, means, result) for name in names]),
        "",
        f"mean of folds: ± standard deviation over {result.folds} folds, whose runs share training images{seeds}",
        "out of fold: all held-out images ranked together, although different runs scored them",
        f"95 %: from {result.resamples:,} resamples of the patients, for these very networks",
        "classes: with an AP; min: minutes of a training",
        f"groups: {result.group_rule}",
    ]
    return "\n".join(lines)


def _fold_cells(name: str, of: dict[tuple[str, str], Row], means: list[str], result: StudyResult) -> list[str]:
    row = of[name, "all"]
    counts = [f"{row[key]:,}" if key in row else "" for key in ("images", "patients", "classes")]
    groups = [f"{of[name, mean]['mAP']:.4f}" if (name, mean) in of else "-" for mean in means]
    if "sd_of_folds" in row:
        return [name, *counts, f"{row['mAP']:.4f}", f"± {row['sd_of_folds']:.4f}", *groups, f"{row['auroc']:.4f}", "", ""]
    intervals = [
        f"{_plain(row[low], 3)}-{_plain(row[high], 3)}" for low, high in (("low", "high"), ("auroc_low", "auroc_high"))
    ]
    minutes = _plain(result.variants[name]["training"]["minutes"], 1) if name in result.variants else ""
    return [name, *counts, f"{row['mAP']:.4f}", intervals[0], *groups, f"{row['auroc']:.4f}", intervals[1], minutes]


def _unseen_table(names: list[str], of: dict[tuple[str, str], Row], result: StudyResult) -> list[str]:
    """mAP and AUROC over seen and over unseen classes with their harmonic mean, where classes are held out."""
    harmonic: dict[str, Row] = {str(row["variant"]): row for row in result.harmonic}
    if not harmonic:
        return []
    header = ["variant"]
    for name in ("mAP", "AUROC"):
        header += [f"{name} seen", "95 %", f"{name} unseen", "95 %", f"{name} harmonic", "95 %"]
    lines = []
    for name in names:
        cells = [name]
        for key in ("mAP", "auroc"):
            for row in (of[name, "seen"], of[name, "unseen"], harmonic[name]):
                low, high = ("low", "high") if key == "mAP" and "mean" in row else (f"{key}_low", f"{key}_high")
                cells += [f"{row[key]:.4f}", f"{_plain(row[low], 3)}-{_plain(row[high], 3)}"]
        lines.append([*cells, *_difference(of[name, "unseen"], "difference")[:2], _p(of[name, "unseen"].get("holm"))])
    chance = of[names[0], "unseen"]["prevalence"]
    return [
        table([*header, "unseen mAP to base", "95 %", "p Holm"], lines),
        f"mAP of random scores over the unseen classes: {chance:.4f}",
        "",
    ]


def _cells(name: str, of: dict[tuple[str, str], Row], means: list[str], result: StudyResult) -> list[str]:
    row = of[name, "all"]
    training = result.variants[name]["training"]
    minutes, peak, weights = (training[key] for key in ("minutes", "peak_gb", "weights"))
    cells = [name, f"{row['mAP']:.4f}", _plain(row["sd"]), *(f"{of[name, mean]['mAP']:.4f}" for mean in means)]
    cells += [*_difference(row, "difference"), _p(row.get("holm")), _plain(minutes, 1), _plain(peak, 1)]
    cells.append(_plain(weights and weights / 1e6, 1))
    if result.chain:
        former = _difference(row, "to_former")
        cells += [former[0], former[1], former[4]]
    return cells


def _difference(row: Row, key: str) -> list[str]:
    if key not in row:
        return ["-"] * 5
    over_seeds = _interval(row[f"{key}_seeds_low"], row[f"{key}_seeds_high"])
    interval = _interval(row[f"{key}_low"], row[f"{key}_high"])
    return [f"{row[key]:+.4f}", interval, _plain(row[f"{key}_sd"]), over_seeds, _p(row[f"{key}_p"])]


def _interval(low: float, high: float) -> str:
    return "-" if math.isnan(low) else f"{low:+.4f} … {high:+.4f}"


def _plain(value: float | None, digits: int = 4) -> str:
    return "-" if value is None or math.isnan(value) else f"{value:.{digits}f}"


def _p(value: float | None) -> str:
    return "-" if value is None or math.isnan(value) else f"{value:.3f}"
