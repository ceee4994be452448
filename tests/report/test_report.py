"""`cxrlt report` as a command, and the numbers it writes."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import TRAIN, Run, classes_file, type_in
from PIL import Image
from shared import copied
from sklearn.metrics import average_precision_score

from cxrlt_cli.artifacts.dataset import read_dataset, write_dataset
from cxrlt_cli.report.cooccurrence import cooccurrence
from cxrlt_cli.report.mistakes import worst
from cxrlt_cli.report.panels import nice
from cxrlt_cli.scores.labelled import Scored


@pytest.fixture(scope="module")
def workspace(made_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs, predictions of one, an evaluation of both."""
    folder = copied(made_dataset, tmp_path_factory.mktemp("report"))
    commands = [
        ["merge", "--label-space", classes_file(folder), "--split", "40,20,40", "--same-picture", "keep", "--overwrite"],
        [*TRAIN, "--name", "a"],
        [*TRAIN, "--name", "b", "--queries", "none", "--mixup", "0.3"],
        ["predict", "a"],
        ["predict", "a", "--name", "a-fresh"],
        ["predict", "a", "b", "--name", "both"],
        ["evaluate", "both"],
    ]
    type_in(folder, commands)
    return folder


FIGURES = (
    "average-precision", "cooccurrence-predictions", "cooccurrence-truth", "groups", "precision-recall", "reliability", "roc",
    "training",
)  # fmt: skip


def _report(cxrlt: Run, workspace: Path, *what: object, figures: bool = False) -> tuple[str, Path]:
    """The page and its folder. The figures beside it take ten times as long as the page: tests of the page do without."""
    with pytest.MonkeyPatch.context() as patch:
        if not figures:
            patch.setattr("cxrlt_cli.report.report.draw_figures", lambda *_: None)
        ended = cxrlt("report", *what, "--workspace", workspace, "--resamples", "100", "--overwrite")
    assert ended.code == 0, ended.err
    path = Path(ended.out.strip())
    return path.read_text(encoding="utf-8"), path.parent


def test_a_run_with_its_figures(cxrlt: Run, workspace: Path) -> None:
    html, folder = _report(cxrlt, workspace, "a", figures=True)
    assert folder == workspace / "reports/a"
    expected = sorted(["report.html", *(f"{name}.{form}" for name in FIGURES for form in ("png", "svg"))])
    assert sorted(path.name for path in folder.iterdir()) == expected
    for name in FIGURES:
        assert "<svg" in (folder / f"{name}.svg").read_text()
        with Image.open(folder / f"{name}.png") as picture:
            assert min(picture.size) > 200
    assert "test images" in html
    assert html.count("data:image/jpeg;base64,") == html.count("data:image/png;base64,") == 6  # a missed, an alarm a class
    assert "decoder attention, last layer" in html


def test_the_table_holds_scikit_learns_figures(cxrlt: Run, workspace: Path) -> None:
    html, _ = _report(cxrlt, workspace, "a", "--mistakes", "0")
    scores = pd.read_parquet(workspace / "predictions/a-test.parquet").set_index("image_id")
    labels = pd.read_parquet(workspace / "dataset.parquet").set_index("image_id").loc[scores.index]
    for name in ("Cardiomegaly", "Effusion", "Hernia"):
        value = average_precision_score(labels[f"label:{name}"], scores[f"logit:{name}"])
        shown = re.search(rf'<tr data-class="{name}".*?<td class="num strong" data-value="([^"]*)"', html, re.DOTALL)
        assert shown
        assert float(shown.group(1)) == pytest.approx(value, abs=1e-9)
    assert "data:image" not in html, "--mistakes 0 keeps pictures out"


def test_runs_without_predictions_are_reported_by_validation_and_compared(cxrlt: Run, workspace: Path) -> None:
    html, folder = _report(cxrlt, workspace, "a", "b", "--name", "two", figures=True)
    for name in FIGURES:
        assert "<svg" in (folder / f"{name}.svg").read_text()
    assert "Validation scores." in html, "b has no predictions of its own: both are reported by validation"
    assert "Comparison with a" in html
    assert "<code>--queries</code></th><td>text</td><td>none</td>" in html
    assert "AP, b</button>" in html
    html, _ = _report(cxrlt, workspace, "b", "--name", "b")
    assert "has no label queries, so it has no attention to show" in html


def test_an_evaluation_of_an_ensemble(cxrlt: Run, workspace: Path) -> None:
    html, _ = _report(cxrlt, workspace, "both")
    assert "an ensemble of a, b" in html
    section = html.partition('id="training"')[2].partition("</section>")[0]
    legend = re.findall(r'<li class="s(\d)"><svg.*?</svg>([^<]*)</li>', section)
    assert legend == [("0", "a"), ("1", "b")], "every member has its curve"
    assert section.count('<g class="s0">') == section.count('<g class="s1">') == 3  # two losses and an mAP
    metrics = json.loads((workspace / "evaluations/both/metrics.json").read_text())
    assert f"<dt>mAP</dt><dd>{metrics['mAP']:.3f}" in html
    assert _section(html, "summary").count("chosen on the same images: optimistic") == 2  # mean F1 and mean sensitivity


def _section(html: str, name: str) -> str:
    return html.partition(f'<section id="{name}"')[2].partition("</section>")[0]


def test_an_evaluations_decisions_subgroups_and_calibration_are_shown(cxrlt: Run, workspace: Path) -> None:
    evaluate = ["evaluate", "a-test", "--thresholds-from", "a", "--by", "view", "--by", "Effusion", "--workspace", workspace]
    assert cxrlt("calibrate", "a", "--name", "warm", "--workspace", workspace).code == 0
    assert cxrlt(*evaluate, "--calibrate", "warm", "--name", "calibrated", "--specificity", "0.7").code == 0
    html, _ = _report(cxrlt, workspace, "calibrated", "--mistakes", "0")
    metrics = json.loads((workspace / "evaluations/calibrated/metrics.json").read_text())
    assert "Probabilities are calibrated by warm (platt)" in html
    assert "Thresholds were chosen on" in html
    assert "Threshold of a specificity of 0.7" in html
    _check_decisions(html, metrics["decisions"])
    _check_decision_means(html, metrics)
    section = _section(html, "calibration")
    for row in metrics["per_class"]:
        assert f'<th scope="row">{row["class"]}</th><td class="num strong">{row["ece"]:.3f}</td>' in section
    means = [row for row in metrics["subgroups"] if not row["class"]]
    section = _section(html, "subgroups")
    for row in means:
        if row["reason"]:
            assert f"<li>{row['by']}: {row['value']} ({row['images']} images): {row['reason']}</li>" in section
        else:
            assert f'<td>{row["by"]}</td><th scope="row">{row["value"]}</th><td class="num">{row["images"]}</td>' in section
            assert f'<span class="strong">{row["auroc"]:.3f}</span>' in section
    pattern = r"Calibration of all labels: mean distance between predicted and observed [0-9.]+"
    plain, _ = _report(cxrlt, workspace, "a")
    assert re.findall(pattern, html) != re.findall(pattern, plain), "the curves are of the calibrated probabilities"


def _check_decisions(html: str, decisions: list[dict[str, Any]]) -> None:
    """Counts, ratios and their intervals in the tables; each defined one as a mark on both curves."""
    tables = _section(html, "decisions").split("<table")[1:]
    for row in decisions:
        line = re.search(rf'<th scope="row">{row["class"]}</th>.*?</tr>', tables[row["rule"] == "specificity"], re.DOTALL)
        assert line
        counts = ("true_positives", "false_positives", "false_negatives", "true_negatives")
        wanted = [f"{row['threshold']:.3f}", *(str(row[name]) for name in counts)]
        assert re.findall(r'<td class="num">([^<]*)</td>', line.group(0)) == wanted
        for name in ("sensitivity", "specificity", "ppv", "npv", "f1"):
            if row[name] is not None:
                cell = f"{row[name]:.3f}</span><small>{row[f'{name}_low']:.3f}\N{EN DASH}{row[f'{name}_high']:.3f}</small>"
                assert cell in line.group(0)
    curves = _section(html, "curves")
    assert curves.count('<circle class="mark"') + curves.count('<rect class="mark"') == sum(
        (row["ppv"] is not None) + (row["specificity"] is not None) for row in decisions
    )


def _check_decision_means(html: str, metrics: dict[str, Any]) -> None:
    """Mean F1 and mean sensitivity with their intervals, as in the evaluation, and where their thresholds are from."""
    tiles = re.findall(r"<div><dt>(mean F1|mean sensitivity)</dt><dd>([0-9.]+) <small>([^<]*)</small><small>([^<]*)<", html)
    at = {"f1": "thresholds of the best F1", "sensitivity": "thresholds of a specificity of 0.7"}
    wanted = [
        (title, f"{metrics[name]:.3f}", f"{metrics[f'{name}_low']:.3f}\N{EN DASH}{metrics[f'{name}_high']:.3f}", at[name[5:]])
        for title, name in (("mean F1", "mean_f1"), ("mean sensitivity", "mean_sensitivity"))
    ]
    assert tiles == wanted
    assert "chosen on the same images" not in _section(html, "summary")


def test_decisions_without_an_evaluation_are_at_thresholds_of_the_runs_validation(cxrlt: Run, workspace: Path) -> None:
    html, _ = _report(cxrlt, workspace, "predictions/a-fresh.parquet", "--mistakes", "0", "--name", "fresh")
    assert "Thresholds were chosen on the validation split, as scored by a-fresh" in html
    assert "<dt>mean F1</dt>" not in html, "only an evaluation has the mean"
    assert cxrlt("evaluate", "a-test", "--thresholds-from", "a", "--name", "same", "--workspace", workspace).code == 0
    decisions = json.loads((workspace / "evaluations/same/metrics.json").read_text())["decisions"]
    _check_decisions(html, decisions)
    shutil.rmtree(workspace / "evaluations/same")


def test_counts_chance_and_intervals_of_each_class(cxrlt: Run, workspace: Path) -> None:
    html, _ = _report(cxrlt, workspace, "a", "--mistakes", "0")
    labels = pd.read_parquet(workspace / "dataset.parquet").query("split == 'test'")
    names = ("Cardiomegaly", "Effusion", "Hernia")
    chance = np.mean([labels[f"label:{name}"].mean() for name in names])
    assert f"<small>chance {chance:.3f}</small>" in html
    for name in names:
        row = re.search(rf'<tr data-class="{name}".*?</tr>', html, re.DOTALL)
        assert row
        positive = labels[labels[f"label:{name}"] == 1]
        assert f'data-value="{len(positive)}">{len(positive)}</td>' in row.group(0)
        assert f'data-value="{positive["patient_id"].nunique()}">' in row.group(0)
        assert len(re.findall(r'<td class="num quiet left">', row.group(0))) == 2, "AP and AUROC have an interval"
    assert cxrlt("evaluate", "a-test", "--bootstrap", "100", "--name", "corrected", "--workspace", workspace).code == 0
    metrics = json.loads((workspace / "evaluations/corrected/metrics.json").read_text())
    assert f"<small>corrected {metrics['mAP_corrected']:.3f}</small>" in html
    shutil.rmtree(workspace / "evaluations/corrected")


def test_predictions_that_were_calibrated_are_shown_with_their_evaluation(cxrlt: Run, workspace: Path) -> None:
    at = ["--workspace", workspace, "--overwrite"]
    for command in (
        ["calibrate", "a", "--name", "hot", "--method", "isotonic"],
        ["predict", "a", "--calibrate", "hot", "--name", "warm"],
        ["evaluate", "warm"],
    ):
        ended = cxrlt(*command, *at)
        assert ended.code == 0, ended.err
    for what in ("evaluations/warm", "predictions/warm.parquet"):
        html, _ = _report(cxrlt, workspace, what, "--mistakes", "0", "--name", "warm")
        assert "Probabilities are calibrated by hot (isotonic)" in html


def test_an_evaluation_of_other_labels_is_refused(cxrlt: Run, workspace: Path, tmp_path: Path) -> None:
    dataset = read_dataset(workspace / "dataset.parquet")
    write_dataset(replace(dataset, targets=1 - dataset.targets, path=workspace / "other.parquet"))
    evaluate = ["evaluate", "a-test", "--dataset", workspace / "other.parquet", "--name", "other"]
    assert cxrlt(*evaluate, "--workspace", workspace).code == 0
    ended = cxrlt("report", "other", "--workspace", workspace)
    assert ended.code == 2
    assert "which differs from" in ended.err


def test_a_run_has_the_evaluation_of_its_scores(cxrlt: Run, workspace: Path) -> None:
    evaluate = ["evaluate", "a-test", "--overwrite", "--workspace", workspace]
    assert cxrlt(*evaluate).code == 0
    html, _ = _report(cxrlt, workspace, "a", "--mistakes", "0")
    assert "Thresholds were chosen on the same images" in html
    assert 'id="subgroups"' not in html
    assert cxrlt(*evaluate, "--per", "study", "--name", "studies").code == 0
    ended = cxrlt("report", "studies", "--workspace", workspace)
    assert ended.code == 2
    assert "has one row per study" in ended.err


def test_an_existing_report_is_not_overwritten_unasked(cxrlt: Run, workspace: Path) -> None:
    _report(cxrlt, workspace, "a", "--name", "kept")
    ended = cxrlt("report", "a", "--name", "kept", "--workspace", workspace)
    assert ended.code == 2
    assert "exists" in ended.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["c"], "'c' is not a run, an evaluation or predictions"),
        (["bth"], "nearest is 'both'"),
        (["a", "a"], "named twice: a, a"),
        (["a", "--mistakes", "-1"], "is not within 0"),
        (["a", "--resamples", "7"], "gives no interval"),
        (["a", "--groups", "1"], "is not two fractions"),
        ([*"abcdefg"], "too many for one report"),
    ],
)
def test_wrong_usage(arguments: list[str], says: str, cxrlt: Run, workspace: Path) -> None:
    ended = cxrlt("report", *arguments, "--workspace", workspace, "--name", "wrong")
    assert ended.code == 2
    assert says in ended.err
    assert not (workspace / "reports/wrong").exists()


def test_predictions_that_changed_since_the_evaluation_are_refused(cxrlt: Run, workspace: Path, tmp_path: Path) -> None:
    assert cxrlt("evaluate", "a-test", "--workspace", workspace, "--overwrite").code == 0
    path = workspace / "predictions/a-test.parquet"
    before = path.read_bytes()
    try:
        assert cxrlt("predict", "a", "--tta", "2", "--name", "a-test", "--workspace", workspace, "--overwrite").code == 0
        ended = cxrlt("report", "a-test", "--workspace", workspace)
        assert ended.code == 2
        assert "has changed since" in ended.err
    finally:
        path.write_bytes(before)


def _scored(logits: list[list[float]], targets: list[list[int]], label_mask: list[list[bool]] | None = None) -> Scored:
    shape = np.array(targets).shape
    table = pd.DataFrame({"image_id": [f"i{n}" for n in range(shape[0])], "patient_id": range(shape[0])})
    there = np.ones(shape, dtype=bool) if label_mask is None else np.array(label_mask)
    count = np.zeros(shape[1], dtype=np.int64)
    names = [chr(97 + c) for c in range(shape[1])]
    values = np.array(logits, dtype=np.float32), np.array(targets, dtype=np.uint8), there
    return Scored(Path("x"), {}, "test", table, names, *values, count, count)


def test_the_worst_mistakes_by_hand() -> None:
    """Class a: image 0 is positive and outscored by both others. Image 1 is its highest negative, but missed for b."""
    scored = _scored([[-1, 9], [2, 0], [1, 1]], [[1, 0], [0, 1], [1, 0]], [[True, False], [True, True], [True, True]])
    found = worst(scored, 5)
    assert [(one.kind, one.row, "ab"[one.label]) for one in found] == [
        ("missed", 0, "a"), ("missed", 1, "b"), ("false alarm", 2, "b"),
    ]  # fmt: skip
    assert found[0].above == pytest.approx(2 / 3)
    assert found[2].probability == pytest.approx(1 / (1 + np.exp(-1)))
    assert len(worst(scored, 1)) == 2
    assert worst(scored, 0) == []


def test_no_image_is_shown_twice() -> None:
    """Image 0 is the highest negative of all five classes; each of them shows another."""
    draws = np.random.default_rng(0)
    logits = draws.normal(size=(30, 5))
    logits[0] += 9
    found = worst(_scored(logits.tolist(), np.eye(30, 5, -20, dtype=int).tolist()), 6)
    assert len(found) == 10
    assert len({one.row for one in found}) == 10
    alarms = [one for one in found if one.kind == "false alarm"]
    assert sorted(one.label for one in alarms) == [0, 1, 2, 3, 4]
    assert alarms[0].row == 0


def test_labels_and_predictions_have_equal_frequencies() -> None:
    scored = _scored([[3, 1], [2, 3], [1, 2], [0, 0]], [[1, 0], [0, 1], [1, 0], [0, 1]])
    found = cooccurrence(scored)
    assert found.labels.tolist() == [[2, 0], [0, 2]]
    assert found.predicted.tolist() == [[2, 1], [1, 2]]


def test_axes_end_at_round_numbers() -> None:
    assert [nice(value) for value in (0.0, 0.13, 0.2, 0.61, 7.0, 9.5)] == pytest.approx([1.0, 0.15, 0.2, 0.8, 8.0, 10.0])
