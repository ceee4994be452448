"""A comparison as text for the terminal."""

from typing import Any

from cxrlt_cli.artifacts.comparison import Comparison
from cxrlt_cli.config.saved_options import flag_of_saved
from cxrlt_cli.console import escaped, table
from cxrlt_cli.evaluate.terminal_table import patients_of

Row = dict[str, Any]


def as_text(comparison: Comparison) -> str:
    """The options that differ; the differences of each entry to the base; the methods."""
    base = comparison.base
    lines = [*_options(comparison.options)]
    for other in comparison.others:
        header = ["", "group", base, other.name, "difference", "95 %", "p", "p (Holm)"]
        rows = [_cells(row) for row in (*other.means, *other.classes)]
        lines += [escaped(f"{other.name} against {base}"), "", table(header, rows), ""]
    patients = patients_of(comparison.patients, comparison.bootstrap)
    lines.append(f"{comparison.split}: {comparison.images:,} images{patients}")
    lines.append(f"groups: {comparison.group_rule}")
    lines += _how(comparison, comparison.permutations or 0)
    if comparison.undefined:
        lines.append(f"without a positive, undefined and left out of the means: {escaped(', '.join(comparison.undefined))}")
    return "\n".join(lines)


def _how(comparison: Comparison, count: int) -> list[str]:
    """The methods; `count` is the number of permutations."""
    lines = [
        f"95 %: Student's t, from {comparison.bootstrap.resamples:,} resamples; none for fewer than 5 patients with a positive",
        f"p: both scorers swapped in random patients, {count:,} times; the smallest p is {1 / (count + 1):.1g}",
        "p (Holm): corrected for the number of classes; those of means are not corrected",
    ]
    classes = max(sum(row["p"] is not None for row in other.classes) for other in comparison.others)
    if classes / (count + 1) > 0.05:
        needed = 20 * classes
        lines.append(f"no class can have p (Holm) below 0.05: {classes} classes need --permutations {needed} or more")
    if any(row["note"] for other in comparison.others for row in other.classes):
        lines.append("no power: 3 patients with a positive or fewer, no difference can be significant")
    return lines


def _options(options: dict[str, dict[str, Any]]) -> list[str]:
    if not options:
        return ["no option differs", ""]
    names = list(next(iter(options.values())))
    rows = [[flag_of_saved(key), *(_value(values[name]) for name in names)] for key, values in options.items()]
    return [table(["options that differ", *names], rows), ""]


def _value(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value)) or "-"
    return "-" if value is None or value == "" else str(value)


def _cells(row: Row) -> list[str]:
    if row["difference"] is None:
        return [row["figure"], row.get("group") or "", *["-"] * 6]
    return [
        row["figure"],
        row.get("group") or "",
        f"{row['base']:.4f}",
        f"{row['value']:.4f}",
        f"{row['difference']:+.4f}",
        f"{row['low']:+.4f} {row['high']:+.4f}" if row["low"] is not None else "-",
        f"{row['p']:.2g}" + (f" ({row['note']})" if row.get("note") else ""),
        f"{row['p_holm']:.2g}" if "p_holm" in row else "",
    ]
