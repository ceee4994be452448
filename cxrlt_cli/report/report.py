"""The stage `report`: an HTML page and figures about runs, evaluations or predictions."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from cxrlt_cli.artifacts.dataset import Dataset, read_dataset
from cxrlt_cli.artifacts.files import check_writable, claimed, refuse_existing, write_text
from cxrlt_cli.artifacts.folder_swap import replacing_folder
from cxrlt_cli.compute.device import choose_device
from cxrlt_cli.config.report import ReportConfig
from cxrlt_cli.console import data, say, warn
from cxrlt_cli.errors import UserError
from cxrlt_cli.report.content import charts, class_rows, comparison, cooccurrence_tables, head_of, what_was_run
from cxrlt_cli.report.cooccurrence import cooccurrence
from cxrlt_cli.report.matplotlib_figures import draw_figures
from cxrlt_cli.report.metrics import Numbers, numbers_of
from cxrlt_cli.report.mistakes import pictures, worst
from cxrlt_cli.report.operating_points import calibration_errors, decision_means, decision_tables, operating_points, subgroups
from cxrlt_cli.report.page import page
from cxrlt_cli.report.panels import Panel, curve_panels, reliability_panels, training_panels
from cxrlt_cli.report.readers import gap_table, reader_panels, reader_tables
from cxrlt_cli.report.subjects import Subject, find_subjects
from cxrlt_cli.results import WrittenReport
from cxrlt_cli.workspace import Workspace, checked_name


def write_report(config: ReportConfig, workspace: Workspace) -> WrittenReport:
    """Writes `reports/NAME/report.html` and its figures, and prints the page's path.

    Raises:
        UserError: an unknown name, scores that do not match the dataset, an output that exists or cannot be written.
    """
    dataset = read_dataset(config.dataset or workspace.dataset)
    subjects = find_subjects(config.what, dataset, workspace)
    folder = workspace.reports / checked_name(config.name or "+".join(one.name for one in subjects)[:120])
    refuse_existing(folder, config.overwrite)
    check_writable(folder.parent)
    _refuse_other_classes(subjects)
    scored = subjects[0].scored
    groups: list[Any] = list(scored.groups(config.bounds))
    order = np.lexsort((-scored.targets.sum(axis=0, dtype=np.int64), -scored.train_prevalence)).tolist()
    numbers, differences = numbers_of(subjects, groups, config.resamples, config.seed)
    points = operating_points(subjects[0], dataset)
    panels = {
        "pr": curve_panels(subjects, numbers, order, "pr", points),
        "roc": curve_panels(subjects, numbers, order, "roc", points),
        "reliability": reliability_panels(subjects, groups),
        "training": training_panels(subjects),
        **reader_panels(subjects[0].evaluation, subjects[0].name),
    }
    pairs = cooccurrence(scored)
    rows = class_rows(subjects, numbers, groups, order)
    content = {
        **head_of(subjects, numbers, groups, config.resamples, config.bounds),
        "rows": rows,
        "comparison": comparison(subjects, differences),
        "decisions": decision_tables(points, {row["name"]: row["group"] for row in rows}, [row["name"] for row in rows]),
        "decision_means": decision_means(subjects[0].evaluation),
        "subgroups": subgroups(subjects[0].evaluation),
        "readers": reader_tables(subjects[0].evaluation),
        "gap": gap_table(subjects[0].evaluation),
        "calibration": calibration_errors(subjects[0].evaluation),
        "panels": {name: charts(some) for name, some in panels.items()},
        "training_runs": _legend(panels["training"]),
        "cooccurrence": cooccurrence_tables(pairs, scored.classes, order),
        "mistakes": _mistakes(config, subjects[0], dataset),
        "provenance": what_was_run(subjects, dataset),
    }
    html = page(content)
    with claimed(folder, config.overwrite), replacing_folder(folder, _is_of_a_report) as aside:
        draw_figures(aside, subjects, numbers, rows, panels, pairs)
        write_text(aside / "report.html", html)
    data(str(folder / "report.html"))
    _say(subjects, numbers, folder)
    return WrittenReport(folder / "report.html")


def _is_of_a_report(name: str) -> bool:
    return name == "report.html" or name.endswith((".png", ".svg"))


def _legend(panels: list[Panel]) -> list[dict[str, Any]]:
    """Name and colour of each line of the last chart."""
    return [{"name": one.name, "colour": one.colour} for one in panels[-1].series] if panels else []


def _refuse_other_classes(subjects: list[Subject]) -> None:
    first = subjects[0].scored.classes
    for one in subjects[1:]:
        if one.scored.classes != first:
            raise UserError(f"{one.name} and {subjects[0].name} have different classes", "write a report of each")


def _mistakes(config: ReportConfig, subject: Subject, dataset: Dataset) -> list[dict[str, Any]]:
    chosen = worst(subject.scored, config.mistakes) if dataset.has_pixels else []
    if not chosen:
        return []
    try:
        return pictures(subject, dataset, chosen, choose_device(config.device))
    except UserError as error:  # the page is useful without images
        warn(f"no pictures of mistakes: {error.message}")
        return []


def _say(subjects: list[Subject], numbers: list[Numbers], folder: Path) -> None:
    for one, number in zip(subjects, numbers, strict=True):
        mean = number.means["all"]
        interval = "too few positives for an interval" if math.isnan(mean.low) else f"{mean.low:.4f} to {mean.high:.4f}"
        say(f"{one.name}: mAP {mean.value:.4f} ({interval}), {one.scored.split}: {one.scored.path}")
    size = (folder / "report.html").stat().st_size
    say(f"{folder / 'report.html'}: {size / 1e6:.2f} MB, opens without a network; figures as PNG and SVG in the same folder")
