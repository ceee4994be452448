"""The rows of `readers.csv`: each reader, the panel and the mean over readers, for each class and for the mean over classes."""

from typing import Any

import numpy as np

from cxrlt_cli.metrics.intervals import MIN_POSITIVE_PATIENTS, holm, std_of_defined
from cxrlt_cli.metrics.proportions import Proportion, proportion
from cxrlt_cli.metrics.ranking import means_of_defined
from cxrlt_cli.readers.contenders import COLUMNS, PANEL, Compared
from cxrlt_cli.readers.multi_reader import mean_of_these_readers, mean_over_readers
from cxrlt_cli.readers.reader_points import ReaderPoints, network_degrees

Row = dict[str, Any]
MEAN = "mean of readers"
_KAPPA, _SENSITIVITY, _SPECIFICITY = (
    COLUMNS.index(name) for name in ("kappa", "sensitivity_difference", "specificity_difference")
)
_NAN = float("nan")


def reader_rows(classes: list[str], compared: Compared) -> list[Row]:
    """A row for each class and contender, then for the mean over classes (`class` is empty).

    A row has `class`, `reader`, `in_reference`, counts; sensitivity, specificity, ppv and kappa with `_low` and `_high`;
    `network_sensitivity` at the reader's specificity and `network_specificity` at the reader's sensitivity; the differences
    network - reader with intervals; `p`, `p_holm`, and `test`, the name of the test. The interval and p of the mean of readers
    hold for a sample of readers; columns `these_readers_…` have those for these readers only.

    Args:
        classes: C names.
        compared: the contenders on these classes.
    """
    used = _used_in_means(compared)
    rows = []
    for g in range(len(compared.contenders)):
        of_classes = [_class_row(compared, g, c, name) for c, name in enumerate(classes) if compared.points[g][c] is not None]
        for row, p in zip(of_classes, holm(np.array([row["p"] for row in of_classes])), strict=True):
            row["p_holm"] = float(p)
        rows += [*of_classes, _over_classes(compared, g, used)]
    members = _members(compared)
    means = [row for c, name in enumerate(classes) if (row := _mean_row(compared, members, [c], name))]
    for row, p in zip(means, holm(np.array([row["p"] for row in means])), strict=True):
        row["p_holm"] = float(p)
    rows += [*means, _mean_row(compared, members, used, "")]
    order = ["", *classes]
    return sorted((row for row in rows if row), key=lambda row: order.index(row["class"]))


def _members(compared: Compared) -> list[int]:
    """The readers of the mean: those outside of the reference; all readers if every one is part of it."""
    readers = [g for g, one in enumerate(compared.contenders) if one.name != PANEL]
    return [g for g in readers if not compared.contenders[g].in_reference] or readers


def _used_in_means(compared: Compared) -> list[int]:
    """The classes of the means: for every contender enough patients with a positive and with a negative."""
    found = []
    for c in range(compared.values.shape[1]):
        points = [of_one[c] for of_one in compared.points]
        counts = [point.patients_with if point else {"positive": 0, "negative": 0} for point in points]
        if all(min(count["positive"], count["negative"]) >= MIN_POSITIVE_PATIENTS for count in counts):
            found.append(c)
    return found


def _class_row(compared: Compared, g: int, c: int, name: str) -> Row:
    point = compared.points[g][c]
    assert point is not None
    row = _empty_row(name, compared.contenders[g].name, compared.contenders[g].in_reference)
    count = point.patients_with
    row |= {"images": len(point.called), "patients": len(np.unique(point.patients)), "positives": int(point.positive.sum())}
    row |= {"positive_patients": count["positive"]}
    for key, found in _proportions(point).items():
        row |= {key: found.value, f"{key}_low": found.low, f"{key}_high": found.high}
    values, resampled = compared.values[g, c], compared.resampled[:, g, c]
    row |= {key: float(values[COLUMNS.index(key)]) for key in ("network_sensitivity", "network_specificity")}
    fewer = min(count["positive"], count["negative"])
    degrees = dict(zip((_SENSITIVITY, _SPECIFICITY), network_degrees(point), strict=True)) | {_KAPPA: fewer - 1}
    for column, freedom in degrees.items():
        half = _half(resampled[:, column], freedom if fewer >= MIN_POSITIVE_PATIENTS else 0)
        row |= _within(COLUMNS[column], float(values[column]), half)
    return row | {"p": point.on_the_curve_p(), "test": "point on the curve"}


def _proportions(point: ReaderPoints) -> dict[str, Proportion]:
    called, positive = point.called, point.positive
    return {
        "sensitivity": proportion(called, positive, point.patients),
        "specificity": proportion(~called, ~positive, point.patients),
        "ppv": proportion(positive, called, point.patients),
    }


def _over_classes(compared: Compared, g: int, used: list[int]) -> Row:
    """One contender's means over classes, with Student's t; empty where no class can be used."""
    if not used:
        return {}
    row = _empty_row("", compared.contenders[g].name, compared.contenders[g].in_reference) | _counted(compared, [g], used)
    degrees = row["positive_patients"] - 1
    for column, name in enumerate(COLUMNS):
        values, resampled = compared.values[g, used, column], compared.resampled[:, g, used, column]
        value = float(means_of_defined(values))
        if name.startswith("network"):
            row[name] = value
        else:
            row |= _within(name, value, _half(means_of_defined(resampled), degrees))
    found = mean_of_these_readers(
        np.array([row["sensitivity_difference"]]), _covariance(_differences(compared, [g], used, _SENSITIVITY)[1]), degrees
    )
    return row | {"p": found.p, "test": "Student's t"}


def _mean_row(compared: Compared, members: list[int], used: list[int], name: str) -> Row:
    """The mean of readers of one class, or of the mean over classes; empty where no two readers have a difference."""
    if not used:
        return {}
    values, _ = _differences(compared, members, used, _SENSITIVITY)
    members = [g for g, value in zip(members, values, strict=True) if not np.isnan(value)]
    if len(members) < 2:
        return {}
    row = _empty_row(name, MEAN, any(compared.contenders[g].in_reference for g in members)) | _counted(compared, members, used)
    row |= {"readers": len(members), "readers_beaten": int((values > 0).sum())}
    for column, key in enumerate(COLUMNS):
        values, resampled = _differences(compared, members, used, column)
        if key.startswith("network"):
            row[key] = float(means_of_defined(values))
            continue
        low_count = row["negative_patients"] if key.startswith("specificity") else row["positive_patients"]
        most = low_count - 1 if low_count >= MIN_POSITIVE_PATIENTS else 0
        defined = ~np.isnan(values)
        covariance = _covariance(resampled[:, defined])
        found, these = (
            mean_over_readers(values[defined], covariance, most),
            mean_of_these_readers(values[defined], covariance, most),
        )
        row |= _within(key, found.value, found.high - found.value)
        if column in (_SENSITIVITY, _SPECIFICITY):
            row |= {f"these_readers_{key}_low": these.low, f"these_readers_{key}_high": these.high}
            row |= {f"these_readers_{key}_p": these.p, f"{key}_p": found.p}
    return row | {"p": row["sensitivity_difference_p"], "test": "Obuchowski-Rockette"}


def _differences(compared: Compared, members: list[int], used: list[int], column: int) -> tuple[np.ndarray, np.ndarray]:
    """(R,) values and (resamples, R) of some readers in a column, means over some classes."""
    return (
        means_of_defined(compared.values[np.ix_(members, used)][..., column]),
        means_of_defined(compared.resampled[:, members][:, :, used][..., column]),
    )


def _covariance(resampled: np.ndarray) -> np.ndarray:
    """(R, R) over the resamples in which every reader has a value; NaN where these are less than half."""
    readers = resampled.shape[1]
    defined = resampled[~np.isnan(resampled).any(axis=1)]
    if len(defined) < 2 or 2 * len(defined) < len(resampled):
        return np.full((readers, readers), _NAN)
    return np.atleast_2d(np.cov(defined, rowvar=False))


def _counted(compared: Compared, members: list[int], used: list[int]) -> Row:
    """Counts of images, patients and positives: minima over readers; of images and patients also over classes."""
    points = [[compared.points[g][c] for c in used] for g in members]
    there = [[point for point in of_one if point is not None] for of_one in points]
    positive = [len(np.unique(np.concatenate([one.patients[one.positive] for one in of_one]))) for of_one in there]
    negative = [len(np.unique(np.concatenate([one.patients[~one.positive] for one in of_one]))) for of_one in there]
    return {
        "images": min(len(one.called) for of_one in there for one in of_one),
        "patients": min(len(np.unique(one.patients)) for of_one in there for one in of_one),
        "positives": min(sum(int(one.positive.sum()) for one in of_one) for of_one in there),
        "positive_patients": min(positive),
        "negative_patients": min(negative),
        "classes": len(used),
    }


_FIRST = (
    "class",
    "reader",
    "in_reference",
    "images",
    "patients",
    "positives",
    "positive_patients",
    "negative_patients",
    "classes",
)
_WITH_INTERVAL = ("sensitivity", "specificity", "ppv", "kappa", "sensitivity_difference", "specificity_difference")


def _empty_row(name: str, reader: str, in_reference: bool) -> Row:
    """A row with all columns of the table; metrics are NaN."""
    row: Row = dict.fromkeys(_FIRST, _NAN) | {"class": name, "reader": reader, "in_reference": in_reference}
    for key in _WITH_INTERVAL:
        if key == "sensitivity_difference":
            row["network_sensitivity"] = _NAN
        if key == "specificity_difference":
            row["network_specificity"] = _NAN
        row |= {key: _NAN, f"{key}_low": _NAN, f"{key}_high": _NAN}
    row |= dict.fromkeys(("p", "p_holm"), _NAN) | {"test": ""} | dict.fromkeys(("readers", "readers_beaten"), _NAN)
    for key in ("sensitivity_difference", "specificity_difference"):
        row |= dict.fromkeys((f"{key}_p", *(f"these_readers_{key}_{end}" for end in ("low", "high", "p"))), _NAN)
    return row


def _half(resampled: np.ndarray, degrees: int) -> float:
    """Half an interval: Student's t times the standard deviation over resamples; NaN without degrees of freedom."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees, 0.975) * std_of_defined(resampled)) if degrees > 0 and len(resampled) > 1 else _NAN


def _within(name: str, value: float, half: float) -> Row:
    least = 0.0 if name in ("sensitivity", "specificity", "ppv") else -1.0
    return {name: value, f"{name}_low": max(value - half, least), f"{name}_high": min(value + half, 1.0)}
