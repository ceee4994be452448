"""Which sources something was made from is carried from the source's table to the runs, scores and packs."""

import json
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import CACHE, TRAIN, Run

from cxrlt_cli.artifacts.calibration import read_calibration
from cxrlt_cli.artifacts.data_sources import PHANTOMS_MARK, DataSource, joined_sources
from cxrlt_cli.artifacts.dataset import read_dataset
from cxrlt_cli.artifacts.predictions import read_predictions_header
from cxrlt_cli.artifacts.run import Run as RunFolder
from cxrlt_cli.artifacts.run_config import read_best, read_run_config, write_best
from cxrlt_cli.artifacts.source_table import read_source_table
from cxrlt_cli.config.cache import KINDS
from cxrlt_cli.labels.cached_sources import data_sources_of, read_sources
from cxrlt_cli.sources.terms import TERMS, agreements_of, terms_of
from cxrlt_cli.train.start_weights import data_sources_of_start

TABLE = DataSource("table")
BOUND = DataSource("mimic-cxr-lt")


def marked(workspace: Path, name: str, sources: list[DataSource] | None) -> None:
    """Makes a run one that learned from these sources."""
    run = RunFolder(workspace / "runs" / name)
    best = read_best(run)
    write_best(run, replace(best, config=replace(best.config, data_sources=sources)))


def test_every_kind_of_source_has_terms() -> None:
    assert set(TERMS) == {*KINDS, "phantoms"}
    assert all(terms.agreement or terms.summary for kind, terms in TERMS.items() if kind != "table")
    assert agreements_of([DataSource("chestxray14"), DataSource("google-nih"), TABLE]) == []
    assert len(agreements_of([BOUND, DataSource("vindr-cxr"), DataSource("padchest-lt"), TABLE])) == 2
    assert agreements_of([DataSource("table", "Our agreement")]) == ["Our agreement"]
    assert terms_of(DataSource("a later kind")).agreement


def test_one_part_without_a_record_makes_the_whole_unrecorded() -> None:
    assert joined_sources([TABLE], [BOUND, TABLE], []) == [BOUND, TABLE]
    assert joined_sources([TABLE], None) is None


def test_sources_are_carried_to_datasets_runs_and_scores(cxrlt: Run, models: Path) -> None:
    assert read_dataset(models / "dataset.parquet").header.data_sources == [TABLE]
    assert read_run_config(RunFolder(models / "runs/a")).data_sources == [TABLE]
    for name in ("runs/a/validation", "predictions/a-test-a", "predictions/both"):
        assert read_predictions_header(models / f"{name}.parquet").data_sources == [TABLE]
    marked(models, "b", [BOUND])
    assert cxrlt("predict", "a", "b", "--split", "train", "--name", "two").code == 0
    assert read_predictions_header(models / "predictions/two.parquet").data_sources == [BOUND, TABLE]
    cached = read_sources(models / "images", (), ())
    assert data_sources_of(cached, None) == [TABLE]
    assert data_sources_of(cached, models / "predictions/two.parquet") == [BOUND, TABLE]  # merge --pseudo
    shutil.copy(models / "runs/b/best.pt", models / "other-name.pth")
    assert data_sources_of_start(str(models / "runs/b")) == [BOUND]
    assert data_sources_of_start(str(models / "other-name.pth")) == [BOUND]
    ended = cxrlt(*TRAIN, "--epochs", "1", "--name", "c", "--weights", "other-name.pth")
    assert ended.code == 0, ended.err
    assert read_best(RunFolder(models / "runs/c")).config.data_sources == [BOUND, TABLE]


def test_weights_and_calibrations_that_leave_a_run_keep_its_sources(cxrlt: Run, models: Path) -> None:
    shutil.copy(models / "runs/a/last.pt", models / "state.pth")
    assert data_sources_of_start("state.pth") is None, "not recorded: a model of it is not shared unasked"
    marked(models, "a", [BOUND])
    assert cxrlt("pack", "a", "--credentialed", "--overwrite").code == 0
    with zipfile.ZipFile(models / "packs/a.zip") as archive:
        (models / "taken-out.safetensors").write_bytes(archive.read("weights/0.safetensors"))
    assert data_sources_of_start("taken-out.safetensors") == [BOUND]
    (models / "cut.safetensors").write_bytes((models / "taken-out.safetensors").read_bytes()[:100])
    assert data_sources_of_start("cut.safetensors") == []
    marked(models, "a", [TABLE])
    path = models / "calibrations/a.json"
    assert read_calibration(path).header.data_sources == [TABLE]
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "data_sources": [{"kind": "mimic-cxr-lt", "agreement": ""}]}))
    refused = cxrlt("pack", "a", "--calibrate", "a", "--overwrite")
    assert refused.code == 2
    assert "learned from images given out under an agreement" in refused.err
    assert cxrlt("predict", "a", "--calibrate", "a", "--overwrite").code == 0
    assert read_predictions_header(models / "predictions/a-test-a.parquet").data_sources == [BOUND, TABLE]
    path.write_text(json.dumps({key: value for key, value in content.items() if key != "data_sources"}))
    assert "fitted its calibration" in cxrlt("pack", "a", "--calibrate", "a", "--overwrite").err


def test_phantoms_are_named_as_what_they_are(cxrlt: Run, pictures: Path, tmp_path: Path) -> None:
    (pictures / PHANTOMS_MARK).touch()
    for shard in ("0/2", "1/2"):
        table = f"table={pictures / 'labels.csv'}"
        assert cxrlt(*CACHE, "--source", table, "--name", "made-up", "--shard", shard).code == 0
    assert cxrlt("join", "made-up").code == 0
    assert read_source_table(tmp_path / "images/made-up.parquet").data_source == DataSource("phantoms")
    assert cxrlt(*CACHE, "--source", table, "--name", "own", "--agreement", "Ours").code == 0
    assert read_source_table(tmp_path / "images/own.parquet").data_source == DataSource("table", "Ours")


def test_weights_that_are_no_run_add_no_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("odd.pth").write_bytes(b"no checkpoint")
    Path("none").write_bytes(b"")
    assert [data_sources_of_start(name) for name in ("odd.pth", "none", "imagenet", "absent.pth")] == [[], [], [], []]


def test_a_table_of_ones_own_can_be_under_an_agreement(cxrlt: Run, pictures: Path, tmp_path: Path) -> None:
    table = f"table={pictures / 'labels.csv'}"
    for shard in ("0/2", "1/2"):
        ended = cxrlt(*CACHE, "--source", table, "--name", "own", "--agreement", "Our agreement", "--shard", shard)
        assert ended.code == 0, ended.err
    assert cxrlt("join", "own").code == 0
    own = DataSource("table", "Our agreement")
    assert read_source_table(tmp_path / "images/own.parquet").data_source == own
    ended = cxrlt("merge", "--label-space", "sources")
    assert ended.code == 0, ended.err
    assert read_dataset(tmp_path / "dataset.parquet").header.data_sources == [own]
    refused = cxrlt("cache", "--source", f"chexpert={pictures}", "--agreement", "Our agreement")
    assert refused.code == 2
    assert "--agreement: only for --source table=FILE" in refused.err
