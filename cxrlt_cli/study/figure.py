"""A study as a figure: what each variant changes, with its interval, over all classes and by group."""

from pathlib import Path
from typing import Any

from cxrlt_cli.artifacts.figure_file import figure_text, save_figure
from cxrlt_cli.artifacts.study import StudyResult

_COLOUR, _DOT = "#1f4e79", "#c55a11"


def draw_study(result: StudyResult, path: Path, form: str) -> None:
    """Draws the difference of each variant to the base: the interval over patients as a line, each seed as a dot.

    Args:
        result: of the study.
        path: the file to write.
        form: png or svg.
    """
    from matplotlib.figure import Figure

    bases = result.bases
    names = [name for name in result.variants if bases[name] != name]
    means = list(dict.fromkeys(row["mean"] for row in result.means))
    of = {(row["variant"], row["mean"]): row for row in result.means}
    figure = Figure(figsize=(2.2 + 2.4 * len(means), 1.3 + 0.34 * len(names)), layout="constrained")
    axes = figure.subplots(1, len(means), sharey=True, squeeze=False)[0]
    seeds: dict[str, Any] = result.seeds_map
    for axis, mean in zip(axes, means, strict=True):
        for at, name in enumerate(names):
            row = of[name, mean]
            axis.plot([row["difference_low"], row["difference_high"]], [at, at], color=_COLOUR, linewidth=2)
            axis.plot(row["difference"], at, "o", color=_COLOUR, markersize=5)
            if mean == "all" and len(seeds[name]) == len(seeds[bases[name]]):
                paired = [one - other for one, other in zip(seeds[name], seeds[bases[name]], strict=True)]
                axis.plot(paired, [at + 0.22] * len(paired), "o", color=_DOT, markersize=2.5)
        axis.axvline(0, color="0.6", linewidth=0.8)
        count = sum(group == mean for group in result.groups.values()) if mean != "all" else len(result.groups)
        axis.set_title(f"{mean} ({count} {'class' if count == 1 else 'classes'})", fontsize=9)
        axis.tick_params(labelsize=8)
        for side in ("top", "right", "left"):
            axis.spines[side].set_visible(False)
    axes[0].set_yticks(range(len(names)), [figure_text(name) for name in names])
    axes[0].invert_yaxis()
    axes[0].tick_params(axis="y", length=0)
    base = figure_text(" or ".join(repr(name) for name in dict.fromkeys(bases.values())))
    figure.supxlabel(f"difference of mAP to {base}: mean of seeds, 95 % interval over patients; small dots: seeds", fontsize=8)
    figure.suptitle(figure_text(result.asks), fontsize=10)
    save_figure(figure, path, form)


def draw_folds(result: StudyResult, path: Path, form: str) -> None:
    """Draws mAP of each fold, of all folds together and of the ensemble, with its interval over patients.

    Args:
        result: of the study `folds`.
        path: the file to write.
        form: png or svg.
    """
    from matplotlib.figure import Figure

    rows: list[dict[str, Any]] = [row for row in result.means if row["mean"] == "all"]
    figure = Figure(figsize=(5.4, 1.3 + 0.3 * len(rows)), layout="constrained")
    axis = figure.subplots()
    for at, row in enumerate(rows):
        if "low" in row:
            axis.plot([row["low"], row["high"]], [at, at], color=_COLOUR, linewidth=2)
        axis.plot(row["mAP"], at, "o", color=_COLOUR if "low" in row else _DOT, markersize=5)
    axis.set_yticks(range(len(rows)), [figure_text(row["variant"]) for row in rows])
    axis.invert_yaxis()
    axis.tick_params(axis="y", length=0)
    axis.tick_params(labelsize=8)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)
    axis.set_xlabel("mAP, 95 % interval over patients", fontsize=8)
    figure.suptitle(figure_text(result.asks), fontsize=10)
    save_figure(figure, path, form)
