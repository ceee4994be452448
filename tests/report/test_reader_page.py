"""Readers on the page: scores of another tool, a table of readers, an expert table, and no pixels anywhere."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import Run

from cxrlt_cli.artifacts.evaluation import read_evaluation
from cxrlt_cli.report.readers import gap_table, reader_panels, reader_tables

CLASSES = ["Effusion", "Mass"]


@pytest.fixture
def evaluated(cxrlt: Run, tmp_path: Path) -> Path:
    """An evaluation with four readers, of whom three are the reference; one has a hostile name."""
    draws = np.random.default_rng(0)
    truth = draws.random((160, 2)) < 0.4
    ids = pd.DataFrame({"image_id": [f"i{n}" for n in range(160)], "patient_id": [f"p{n // 2}" for n in range(160)]})
    scores = pd.DataFrame(1 / (1 + np.exp(-draws.normal(size=truth.shape) - truth)), columns=CLASSES)
    pd.concat([ids["image_id"], scores], axis=1).to_csv(tmp_path / "scores.csv", index=False)
    labels = pd.DataFrame((truth ^ (draws.random(truth.shape) < 0.1)).astype(int), columns=CLASSES)
    pd.concat([ids, labels], axis=1).to_csv(tmp_path / "labels.csv", index=False)
    reads = [
        pd.DataFrame((truth ^ (draws.random(truth.shape) < 0.15)).astype(int), columns=CLASSES).assign(
            image_id=ids["image_id"], reader=name
        )
        for name in ("<b>anna</b>", "ben", "carl", "dora")
    ]
    pd.concat(reads).to_csv(tmp_path / "reads.csv", index=False)
    given = ["evaluate", "scores", "--readers", "reads.csv", "--reference", "majority:ben,carl,dora", "--bootstrap", "50"]
    for command in (["import", "scores.csv", "--labels", "labels.csv"], given):
        ended = cxrlt(*command)
        assert ended.code == 0, ended.err
    return tmp_path / "evaluations" / "scores"


def test_the_page_shows_readers(cxrlt: Run, evaluated: Path) -> None:
    ended = cxrlt("report", evaluated.name, "--mistakes", "0", "--resamples", "100")
    assert ended.code == 0, ended.err
    folder = evaluated.parents[1] / "reports" / "scores"
    html = (folder / "report.html").read_text(encoding="utf-8")
    section = html[html.index('<section id="readers"') : html.index('<section id="calibration"')]
    assert "&lt;b&gt;anna&lt;/b&gt;" in section
    assert "<b>anna" not in html
    assert '<a href="#readers">' in html
    assert "their metrics are optimistic and not in the means: ben, carl, dora" in section
    assert "Dataset labels against the reference" in section
    marks = re.findall(r'<path class="mark (\w+)" transform', section)
    assert (marks.count("reader"), marks.count("part")) == (2 * 2 + 1, 2 * 2 * 3 + 1), "2 charts x 2 classes, and the legend"
    for name in ("readers-roc", "readers-precision-recall"):
        assert (folder / f"{name}.svg").stat().st_size > 1000


def test_the_points_are_those_of_the_table(evaluated: Path) -> None:
    evaluation = read_evaluation(evaluated)
    panels = reader_panels(evaluation, "scores")
    row = next(row for row in evaluation.readers if row["class"] == "Mass" and row["reader"] == "carl")
    for kind, wanted in (
        ("roc", (1 - row["specificity"], row["sensitivity"])),
        ("pr", (row["sensitivity"], row["ppv"])),
    ):
        panel = next(one for one in panels[f"readers_{kind}"] if one.title == "Mass")
        mark = next(one for one in panel.marks if one.label == "carl")
        assert (mark.rule, mark.x, mark.y) == ("part", *map(pytest.approx, wanted))
        assert "carl" in panel.description
    tables = reader_tables(evaluation)
    assert tables is not None
    assert [row["reader"] for row in tables["tables"][0][3]] == ["<b>anna</b>", "ben", "carl", "dora"], "one reader is no mean"
    gap = gap_table(evaluation)
    assert gap is not None
    assert [row["class"] for row in gap["rows"]] == ["mean", *CLASSES]


def test_an_evaluation_without_readers() -> None:
    """Evaluations of earlier versions have none."""
    assert reader_panels(None, "a") == {"readers_roc": [], "readers_pr": []}
    assert reader_tables(None) is gap_table(None) is None
