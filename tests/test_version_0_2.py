"""Artifacts that version 0.2.0 wrote are read, scored and compared as then: see data/version_0_2/README.md."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tiny_encoder  # noqa: F401 - makes `timm:tiny_golden` known
from conftest import Ended, Run

from cxrlt_cli.artifacts.dataset import read_dataset
from cxrlt_cli.artifacts.image_pixels import ImageReader
from cxrlt_cli.artifacts.study import read_study
from cxrlt_cli.artifacts.tables import read_table
from cxrlt_cli.errors import UserError

GOLDEN = Path(__file__).parent / "data/version_0_2/workspace"


@pytest.fixture
def golden(cxrlt: Run, tmp_path: Path) -> Run:
    """Runs a command in a copy of the workspace, on the CPU where it computes."""
    shutil.copytree(GOLDEN, tmp_path, dirs_exist_ok=True)

    def run(*arguments: object) -> Ended:
        ended = cxrlt(*arguments)
        assert ended.code == 0, ended.err
        return ended

    return run


def told(golden: Run, path: str) -> dict[str, Any]:
    """What `info --json` says."""
    found: dict[str, Any] = json.loads(golden("info", path, "--json").out)
    return found


@pytest.mark.parametrize(
    ("path", "facts"),
    [
        ("images/clinic.h5", {"kind": "images", "images": 60, "done": 59, "missing": 0, "size": 16}),
        ("images/clinic.shard-00001-of-00002.h5", {"kind": "images", "images": 30, "done": 29}),
        ("images/clinic.parquet", {"kind": "source table", "images": 59, "patients": 30, "unreadable": 1}),
        ("dataset.parquet", {"images": 59, "patients": 30}),
        ("label_embeddings.parquet", {"classes": ["Effusion", "Mass", "Nodule"], "width": 256}),
        ("runs/whole", {"kind": "run", "epochs": 5}),
        ("runs/stopped", {"kind": "run", "epochs": 1}),
        ("runs/fused", {"kind": "run", "epochs": 3}),
        ("predictions/whole.parquet", {"images": 14, "runs": ["whole"], "split": "test", "views": 1, "merge": "none"}),
        ("predictions/fused.parquet", {"images": 14, "runs": ["fused"], "study": "fused"}),
        ("predictions/pair.parquet", {"images": 14, "runs": ["whole", "fused"], "split": "val", "merge": "geomean"}),
        ("calibrations/warm.json", {"kind": "calibration", "method": "temperature"}),
        ("calibrations/steps.json", {"kind": "calibration", "method": "isotonic"}),
        ("ensembles/pair.json", {"kind": "ensemble", "merge": "geomean"}),
        ("evaluations/whole", {"kind": "evaluation", "split": "test", "images": 14, "patients": 7}),
        ("comparisons/both", {"kind": "comparison", "base": "whole", "images": 14}),
    ],
)
def test_info_reads(golden: Run, path: str, facts: dict[str, Any]) -> None:
    found = told(golden, path)
    assert {name: found[name] for name in facts} == facts


@pytest.mark.parametrize(
    ("name", "flags"),
    [
        ("whole", ["whole"]),
        ("fused", ["fused"]),
        ("calibrated", ["whole", "--calibrate", "warm"]),
        ("pair-test", ["--ensemble", "pair"]),
    ],
)
def test_predict_gives_the_same_scores(golden: Run, name: str, flags: list[str], tmp_path: Path) -> None:
    golden("predict", *flags, "--device", "cpu", "--name", "now")
    then, now = (
        pd.read_parquet(folder) for folder in (GOLDEN / f"predictions/{name}.parquet", tmp_path / "predictions/now.parquet")
    )
    pd.testing.assert_frame_equal(now, then, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "flags"),
    [
        ("whole", ["whole", "--groups", "0.4,0.25", "--thresholds-from", "runs/whole"]),
        ("calibrated", ["calibrated"]),
        ("calibrated", ["predictions/whole.parquet", "--calibrate", "warm"]),
    ],
)
def test_evaluate_gives_the_same_metrics(golden: Run, name: str, flags: list[str], tmp_path: Path) -> None:
    golden("evaluate", *flags, "--bootstrap", 0, "--name", "now")
    then, now = (
        json.loads((folder / "metrics.json").read_text())
        for folder in (GOLDEN / f"evaluations/{name}", tmp_path / "evaluations/now")
    )
    means = ("mAP", "mean_auroc", "mean_f1", "mean_sensitivity", "mean_ece", "micro_ap", "weighted_ap")
    assert {key: now[key] for key in means} == pytest.approx({key: then[key] for key in means}, abs=1e-5)
    for before, after in zip(then["per_class"], now["per_class"], strict=True):
        shared = [key for key in before if not key.endswith(("_low", "_high"))]
        assert {key: after[key] for key in shared} == pytest.approx({key: before[key] for key in shared}, abs=1e-5)


def test_compare_gives_the_same_differences(golden: Run) -> None:
    flags = ("--bootstrap", 200, "--groups", "0.4,0.25", "--json")
    now = json.loads(golden("compare", "predictions/whole.parquet", "predictions/fused.parquet", *flags).out)
    then = json.loads((GOLDEN / "comparisons/both/comparison.json").read_text())
    for part in ("means", "classes"):
        (before, after) = (
            [(row["figure"], row["base"], row["value"]) for row in content["others"][0][part]] for content in (then, now)
        )
        assert [row[0] for row in after] == [row[0] for row in before]
        np.testing.assert_allclose([row[1:] for row in after], [row[1:] for row in before], atol=1e-6)


@pytest.mark.usefixtures("without_figures")
def test_report_is_made_of_a_run_and_of_an_evaluation(golden: Run, tmp_path: Path) -> None:
    golden("report", "runs/whole", "evaluations/calibrated", "--resamples", 100, "--mistakes", 1, "--name", "now")
    page = next((tmp_path / "reports/now").glob("*.html")).read_text()
    assert "Effusion" in page
    assert "tiny_golden" in page


@pytest.mark.parametrize("method", ["temperature", "isotonic"])
def test_calibrate_fits_on_an_earlier_run(golden: Run, method: str, tmp_path: Path) -> None:
    golden("calibrate", "runs/whole", "--method", method, "--name", "now")
    then = json.loads((GOLDEN / "calibrations/warm.json").read_text())["fitted"]
    now = json.loads((tmp_path / "calibrations/now.json").read_text())["fitted"]
    assert set(now) == set(then)
    if method == "temperature":
        assert [now[name]["temperature"] for name in now] == pytest.approx(
            [then[name]["temperature"] for name in now], rel=1e-3
        )


def test_a_stopped_run_goes_on_to_the_end_of_one_that_was_not_stopped(golden: Run, tmp_path: Path) -> None:
    """But for rounding, which differs between processors: two images may change places, and another epoch be the best."""
    saved = json.loads((GOLDEN / "runs/stopped/config.json").read_text())["provenance"]["command"][1:]
    golden(*saved, "--resume")
    whole, gone_on = (
        [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
        for folder in (GOLDEN / "runs/whole", tmp_path / "runs/stopped")
    )
    for before, after in zip(whole, gone_on, strict=True):
        for name in ("epoch", "step", "train_loss", "val_loss"):
            assert after[name] == pytest.approx(before[name], abs=1e-4)
        assert after["mAP"] == pytest.approx(before["mAP"], abs=0.01)
    then, now = (
        pd.read_parquet(folder / "validation.parquet") for folder in (GOLDEN / "runs/whole", tmp_path / "runs/stopped")
    )
    assert now.columns.tolist() == then.columns.tolist()
    assert now["image_id"].tolist() == then["image_id"].tolist()
    best_then, best_now = (max(epochs, key=lambda epoch: epoch["mAP"])["epoch"] for epochs in (whole, gone_on))
    if best_now == best_then:
        pd.testing.assert_frame_equal(now, then, rtol=0, atol=1e-3)


def test_an_option_that_a_stopped_run_does_not_know_had_its_default(golden: Run, cxrlt: Run, tmp_path: Path) -> None:
    config = tmp_path / "runs/stopped/config.json"
    saved = json.loads(config.read_text())
    command = saved["provenance"]["command"][1:]
    del saved["options"]["mixup"], saved["options"]["decoder_positions"]
    config.write_text(json.dumps(saved))
    refused = cxrlt(*command, "--resume", "--mixup", "0.2")
    assert refused.code == 2
    assert "--mixup was 0.0, is 0.2" in refused.err
    assert "different options" in refused.err
    golden(*command, "--resume")
    assert json.loads((tmp_path / "runs/stopped/status.json").read_text())["state"] == "done"


@pytest.mark.parametrize("file", ["clinic.shard-00001-of-00002.h5", "clinic.h5"])
def test_a_changed_bit_of_the_pixels_is_named(golden: Run, cxrlt: Run, tmp_path: Path, file: str) -> None:
    reader = ImageReader(tmp_path / "images" / file)
    reader.verify(np.flatnonzero(reader.done))
    part, row = reader.layout.parts[-1], 3
    with part.path.open("rb+") as handle:
        handle.seek(part.offset + row * 256 + 17)
        value = handle.read(1)[0]
        handle.seek(-1, 1)
        handle.write(bytes([value ^ 1]))
    with pytest.raises(UserError, match=f"pixels of 1 images changed .*: {reader.layout.ids[part.first + row]}$"):
        reader.verify(np.flatnonzero(reader.done))
    images = json.loads(cxrlt("check", "--json", "--backbone", "none").out)["images"]
    assert images["state"] == "error"
    changed = reader.layout.ids[part.first + row]
    assert changed in images["found"]
    split = read_dataset(tmp_path / "dataset.parquet").table.set_index("image_id").loc[changed, "split"]
    assert split in ("train", "val")
    for command in (["train", "--encoder", "timm:tiny_golden"], ["predict", "whole", "--split", split]):
        ended = cxrlt(*command, "--verify", "--name", "new", "--device", "cpu")
        assert ended.code == 2
        assert f"pixels of 1 images changed after they were cached: {changed}" in ended.err
    assert not (tmp_path / "runs/new").exists()


def test_a_run_is_explained_as_then(golden: Run, tmp_path: Path) -> None:
    golden("explain", "whole", "i08", "--top", 1, "--device", "cpu", "--name", "now")
    tables = [read_table(folder / "maps.parquet", "cxrlt explanation", 1, "cxrlt explain")[0].to_pandas()
              for folder in (GOLDEN / "explanations/whole", tmp_path / "explanations/now")]  # fmt: skip
    then, now = tables
    assert list(now["class"]) == list(then["class"])
    assert list(now["kind"]) == list(then["kind"])
    for before, after in zip(then["values"], now["values"], strict=True):
        np.testing.assert_allclose(after, before, atol=1e-4)


def test_a_study_is_read() -> None:
    found = read_study(GOLDEN / "studies/mixup")
    assert found is not None
    assert list(found.variants) == ["plain", "mixup"]
    assert len(found.means) == 4


def test_a_run_starts_from_the_weights_of_an_earlier_one(golden: Run, tmp_path: Path) -> None:
    flags = ("--encoder", "timm:tiny_golden", "--weights", "runs/whole", "--decoder-width", 8, "--decoder-heads", 2)
    more = ("--decoder-feedforward", 8, "--epochs", 1, "--device", "cpu", "--precision", "fp32", "--layout", "plain")
    golden("train", *flags, *more, "--name", "next")
    assert json.loads((tmp_path / "runs/next/status.json").read_text())["state"] == "done"


def test_golden_files_name_no_machine() -> None:
    for file in GOLDEN.rglob("*"):
        if file.suffix in (".json", ".jsonl", ".csv", ".txt"):
            text = file.read_text()
            assert not any(mark in text for mark in ("/tmp", "/dev/shm", "/home", "/root", "/work")), file
