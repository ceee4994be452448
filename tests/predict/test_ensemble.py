"""`cxrlt ensemble` as a command, on made-up scores of a small dataset, and its recipe in `cxrlt predict`."""

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import CLASSES, TRAIN, Run
from sklearn.metrics import average_precision_score

from cxrlt_cli.artifacts.dataset import read_dataset
from cxrlt_cli.artifacts.predictions import Predictions, PredictionsHeader, read_predictions, write_predictions
from cxrlt_cli.predict.merge import merge_logits


@pytest.fixture
def scores(dataset: Path, tmp_path: Path) -> Path:
    """The workspace with predictions `a-val`, `a-test` … of made-up runs a, b, c; rows and columns of b in another order."""
    whole = read_dataset(dataset)
    for number, (name, skill) in enumerate((("a", 1.5), ("b", 1.2), ("c", 0.2))):
        for split in ("val", "test"):
            part = whole.split(split)
            draws = np.random.default_rng(number)
            logits = draws.normal(size=part.targets.shape) + skill * part.targets
            rows, columns = np.arange(len(logits)), list(range(len(CLASSES)))
            if name == "b":
                rows, columns = rows[::-1], columns[::-1]
            header = PredictionsHeader([name], split, pixels=part.settings)
            ids, names = part.table["image_id"].to_numpy()[rows], [CLASSES[column] for column in columns]
            path = tmp_path / f"predictions/{name}-{split}.parquet"
            write_predictions(path, Predictions(list(ids), names, logits[rows][:, columns], header))
    return tmp_path


VAL = ["a-val", "b-val", "c-val"]
TEST = ["--apply", "a-test", "--apply", "b-test", "--apply", "c-test"]


def _aligned(workspace: Path, names: list[str]) -> np.ndarray:
    """(V, N, C) of predictions, joined by id and name to the first's."""
    first = read_predictions(workspace / f"predictions/{names[0]}.parquet")
    found = []
    for name in names:
        file = read_predictions(workspace / f"predictions/{name}.parquet")
        rows = [file.image_ids.index(image) for image in first.image_ids]
        found.append(file.logits[rows][:, [file.classes.index(label) for label in first.classes]])
    return np.stack(found)


@pytest.mark.parametrize("merge", ["geomean", "mean", "logits"])
def test_predictions_are_joined_by_id_and_name_and_merged_by_weight(merge: str, cxrlt: Run, scores: Path) -> None:
    given = ["--member-weights", "5,3,2", "--merge", merge, "--name", "abc"]
    ended = cxrlt("ensemble", "a-test", "b-test", scores / "predictions/c-test.parquet", *given)
    assert ended.code == 0, ended.err
    found = read_predictions(scores / "predictions/abc.parquet")
    expected = merge_logits(_aligned(scores, ["a-test", "b-test", "c-test"]), merge, np.array([0.5, 0.3, 0.2]))
    assert np.allclose(found.logits, expected, atol=1e-6)
    assert (found.header.runs, found.header.split, found.header.merge) == (["a", "b", "c"], "test", merge)
    pipeline = json.loads((scores / "ensembles/abc.json").read_text())
    assert [member["weight"] for member in pipeline["members"]] == pytest.approx([0.5, 0.3, 0.2])
    assert pipeline["mean_ap"] is None
    assert cxrlt("evaluate", "abc", "--bootstrap", "20").code == 0
    told = json.loads(cxrlt("info", "ensembles/abc.json", "--json").out)
    assert (told["kind"], told["merge"], len(told["members"])) == ("ensemble", merge, 3)


def test_greedy_selection_on_validation_is_applied_to_the_test(cxrlt: Run, scores: Path) -> None:
    ended = cxrlt("ensemble", *VAL, "--select", "greedy", *TEST, "--json")
    assert ended.code == 0, ended.err
    pipeline = json.loads(ended.out)
    weights = np.array([member["weight"] for member in pipeline["members"]])
    assert weights.sum() == pytest.approx(1)
    assert weights[0] > 0
    logits, targets = _aligned(scores, VAL), read_dataset(scores / "dataset.parquet").split("val").targets
    mean_ap = [average_precision_score(targets, member, average="macro") for member in logits]
    assert [member["mean_ap"] for member in pipeline["members"]] == pytest.approx(mean_ap)
    chosen = average_precision_score(targets, merge_logits(logits, "geomean", weights), average="macro")
    assert pipeline["mean_ap"] == pytest.approx(chosen)
    assert chosen >= max(mean_ap)
    assert pipeline["steps"][0]["added"] == VAL[int(np.argmax(mean_ap))]
    found = read_predictions(scores / "predictions/ensemble.parquet")
    expected = merge_logits(_aligned(scores, ["a-test", "b-test", "c-test"]), "geomean", weights)
    assert found.header.split == "test"
    assert np.allclose(found.logits, expected, atol=1e-6)


def test_wrong_usage(cxrlt: Run, scores: Path) -> None:
    before = sorted(scores.rglob("*.parquet"))
    for arguments, says in _WRONG:
        ended = cxrlt("ensemble", *arguments)
        assert ended.code == 2
        assert says in ended.err
    assert sorted(scores.rglob("*.parquet")) == before
    assert not list(scores.glob("ensembles/*"))


_WRONG: list[tuple[list[str], str]] = [
    (["a-test", "b-test", "--select", "greedy"], "the test must not choose an ensemble"),
    (["a-val", "b-test"], "scores images that"),
    (["a-val", "a-val"], "named twice"),
    (["a-val", "d-val"], "nearest is"),
    (["a-val", "b-val", "--apply", "a-test"], "1 --apply for 2 members"),
    (["a-val", "b-val", "--apply", "b-test", "--apply", "a-test"], "is of b, but"),
    (["a-val", "b-val", "--member-weights", "1"], "not a number for each of 2 members"),
    (["a-val", "b-val", "--member-weights", "1,-1"], "a weight is 0 or more"),
    (["a-val", "b-val", "--member-weights", "0,0"], "their sum above 0"),
    (["a-val", "b-val", "--member-weights", "1,2", "--select", "greedy"], "exclude each other"),
    (["a-val", "b-val", "--name", "a-val"], "exists"),
    (["a-val", "b-val", "--name", "a-val", "--overwrite"], "is one of the members"),
    ([], "an ensemble needs members"),
]


def test_validation_scores_of_another_split_are_refused(cxrlt: Run, scores: Path) -> None:
    """Files that say val, but whose images are not the val split of the dataset."""
    assert (
        cxrlt("merge", "--label-space", scores / "classes.txt", "--split", "60,20,20", "--seed", "3", "--overwrite").code == 0
    )
    ended = cxrlt("ensemble", "a-val", "b-val", "--select", "greedy")
    assert ended.code == 2
    assert "scores other images than the val split" in ended.err


def test_a_recipe_of_runs_scores_any_images_and_weights_may_be_given_to_predict(cxrlt: Run, dataset: Path) -> None:
    workspace = dataset.parent
    for name, seed in (("a", 0), ("b", 1)):
        assert cxrlt(*TRAIN, "--epochs", "1", "--name", name, "--seed", seed).code == 0
        assert cxrlt("predict", name, "--name", name).code == 0
    assert cxrlt("ensemble", "a", "b", "--member-weights", "3,1", "--merge", "logits", "--name", "both").code == 0
    assert json.loads((workspace / "ensembles/both.json").read_text())["mean_ap"] > 0  # on the validation scores of the runs
    ended = cxrlt("predict", "--ensemble", "both", "--name", "by-recipe")
    assert ended.code == 0, ended.err
    assert cxrlt("predict", "a", "b", "--member-weights", "3,1", "--merge", "logits", "--name", "by-hand").code == 0
    expected = merge_logits(_aligned(workspace, ["a", "b"]), "logits", np.array([3.0, 1.0]))
    for name in ("by-recipe", "by-hand"):
        found = read_predictions(workspace / f"predictions/{name}.parquet")
        assert np.allclose(found.logits, expected, atol=1e-5)
        assert found.header.runs == ["a", "b"]
    _wrong_recipes(cxrlt, workspace)


def _wrong_recipes(cxrlt: Run, workspace: Path) -> None:
    pipeline = workspace / "ensembles/both.json"
    whole = pipeline.read_text()
    for text, says in (
        (whole[:50], "cannot be read as JSON"),
        ("{}", "is not cxrlt ensemble"),
        (whole.replace('"logits"', '"median"'), "is damaged: merge is 'median'"),
        (whole.replace("0.75", "-1.0"), "the weight of a is -1.0"),
        (whole.replace('"sha256"', '"md5"'), "is damaged"),
        (whole.replace('"a"\n', '"a", "c"\n'), "not of one run: a"),
    ):
        pipeline.write_text(text)
        ended = cxrlt("predict", "--ensemble", "both", "--name", "x")
        assert ended.code == 2
        assert says in ended.err
    pipeline.write_text(whole)
    assert "is no ensemble; nearest is 'both'" in cxrlt("predict", "--ensemble", "bath").err
    assert "already sets the runs" in cxrlt("predict", "a", "--ensemble", "both").err
    assert cxrlt(*TRAIN, "--epochs", "1", "--name", "a", "--seed", "5", "--overwrite").code == 0
    assert "trained again since" in cxrlt("predict", "--ensemble", "both", "--name", "y").err
