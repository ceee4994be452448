"""`cxrlt pack`: what is in the zip and its card, and what must not be."""

import getpass
import json
import shutil
import socket
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from browser import Browser, needs_browser, refuse_axe_violations
from conftest import CLASSES, Run
from test_data_sources import BOUND, marked

from cxrlt_cli.artifacts.dataset import read_dataset
from cxrlt_cli.artifacts.origin import Origin
from cxrlt_cli.artifacts.predictions import read_predictions
from cxrlt_cli.artifacts.run import Run as RunFolder
from cxrlt_cli.artifacts.run import RunStatus, write_status
from cxrlt_cli.artifacts.run_config import read_best, write_best
from cxrlt_cli.errors import UserError
from cxrlt_cli.share.card import threshold_text
from cxrlt_cli.share.traces import Traces, public_encoder, refuse_traces

SECTIONS = ["Summary", "Data", "Reference standard", "Data partitions", "Model", "Training", "Evaluation", "Results",
            "Limitations", "Access"]  # fmt: skip


def scores(path: Path) -> tuple[list[str], np.ndarray]:
    """Ids and logits of predictions."""
    found = read_predictions(path)
    return found.image_ids, found.logits


def members(path: Path) -> dict[str, bytes]:
    """Name -> content of a zip."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


HOST = "radiology-07.hospital.example"


def written_elsewhere(workspace: Path, name: str) -> None:
    """Makes a run one whose provenance, options and label texts name a host, a user and folders."""
    run = RunFolder(workspace / "runs" / name)
    best = read_best(run)
    config, home = best.config, "/home/mueller"
    assert config.label_texts is not None
    traces = {"weights": f"{home}/runs/first", "encoder": f"timm:local-dir:{home}/own", "tensorboard": f"{home}\\logs"}
    provenance = replace(
        config.provenance, host=HOST, command=["cxrlt", "train", home], config=traces, job={"SLURM_JOB_ID": "77345"}
    )
    texts = replace(config.label_texts, encoder={"name": f"{home}/bert", "source": f"{home}/bert", "width": 256})
    odd = replace(
        config,
        options=config.options | traces,
        provenance=provenance,
        label_texts=texts,
        encoder_weights=f"{home}/runs/first",
        encoder_origin=Origin(f"{home}/own", "1", "MIT"),
        hard_from=f"{home}/runs/first/history.jsonl",
    )
    write_best(run, replace(best, config=odd))


def secrets(workspace: Path) -> list[str]:
    """What must not leave: ids, host, user, folders."""
    table = read_dataset(workspace / "dataset.parquet").table
    ids = [*table["image_id"], *table["patient_id"]]
    return [*map(str, ids), HOST, "mueller", "77345", str(workspace), f"{Path.home()}/", str(Path.cwd())]


def test_a_pack_scores_elsewhere_with_equal_logits(
    cxrlt: Run, models: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cxrlt("predict", "--ensemble", "both", "--images", "source/pictures", "--name", "here").code == 0
    ended = cxrlt("pack", "both")
    assert ended.code == 0, ended.err
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    shutil.copy(models / "packs/both.zip", elsewhere)
    pictures = shutil.copytree(models / "source/pictures", elsewhere / "in")
    shutil.rmtree(models / "runs")
    monkeypatch.chdir(elsewhere)
    ended = cxrlt("predict", "--pack", "both.zip", "--images", pictures)
    assert ended.code == 0, ended.err
    ids, logits = scores(models / "predictions/here.parquet")
    found = scores(elsewhere / "predictions/both-in.parquet")
    assert found[0] == ids
    assert np.array_equal(found[1], logits)


def test_a_pack_holds_its_calibration(cxrlt: Run, models: Path) -> None:
    ended = cxrlt("predict", "--pack", "packs/a.zip", "--calibrate", "pack", "--name", "packed")
    assert ended.code == 0, ended.err
    for mine, packed in zip(
        scores(models / "predictions/a-test-a.parquet"), scores(models / "predictions/packed.parquet"), strict=True
    ):
        assert np.array_equal(mine, packed)
    assert cxrlt("pack", "b").code == 0
    ended = cxrlt("predict", "--pack", "packs/b.zip", "--calibrate", "pack")
    assert ended.code == 2
    assert "has no calibration" in ended.err
    ended = cxrlt("predict", "a", "--pack", "packs/b.zip")
    assert ended.code == 2
    assert "--pack says which runs" in ended.err


def test_nothing_of_this_machine_or_of_patients_is_in_any_member(cxrlt: Run, models: Path) -> None:
    written_elsewhere(models, "a")
    ended = cxrlt("pack", "a", "--calibrate", "a", "--evaluation", "a-test-a", "--overwrite")
    assert ended.code == 0, ended.err
    found = members(models / "packs/a.zip")
    assert set(found) == {"pack.json", "weights/0.safetensors", "evaluation.json", "card.md", "card.html"}
    content = (models / "packs/a.zip").read_bytes() + b"".join(found.values())
    assert not [text for text in secrets(models) if text.encode() in content]
    assert f'"{getpass.getuser()}"'.encode() not in content
    described = json.loads(found["pack.json"])["runs"][0]["checkpoint"]["described"]
    assert described["provenance"] == {}
    assert not {"dataset", "embeddings", "name", "weights", "encoder", "tensorboard"} & set(described["options"])
    assert described["encoder_origin"]["repository"] == "own"
    assert described["label_texts"]["encoder"]["name"] == "bert"


def test_subgroups_by_ids_stay_here(cxrlt: Run, models: Path) -> None:
    rows = json.loads((models / "evaluations/a-test-a/metrics.json").read_text())["subgroups"]
    assert {row["by"] for row in rows} == {"view", "patient_id"}
    metrics = json.loads(members(models / "packs/a.zip")["evaluation.json"])
    assert {row["by"] for row in metrics["subgroups"]} == {"view"}
    assert not {"provenance", "predictions", "thresholds", "readers"} & set(metrics)
    ended = cxrlt("pack", "a", "--calibrate", "a", "--evaluation", "a-test-a", "--name", "again")
    assert "subgroups by patient_id are left out" in ended.err


def test_the_card_answers_the_items_of_claim(cxrlt: Run, models: Path) -> None:
    ended = cxrlt("pack", "a", "--calibrate", "a", "--evaluation", "a-test-a", "--overwrite", "--purpose", "A <b>test</b>.")
    assert ended.code == 0, ended.err
    found = members(models / "packs/a.zip")
    markdown, page = found["card.md"].decode(), found["card.html"].decode()
    assert [line[3:] for line in markdown.splitlines() if line.startswith("## ")] == SECTIONS
    assert all(f"<h2>{heading}</h2>" in page for heading in SECTIONS)
    assert "A &lt;b&gt;test&lt;/b&gt;." in page
    assert "<b>" not in page
    assert "http" not in page.replace("Content-Security-Policy", "").replace("http-equiv", "")
    metrics = json.loads(found["evaluation.json"])
    for row in metrics["per_class"]:
        bounds = f" ({row['ap_low']:.3f} to {row['ap_high']:.3f})" if row["ap_low"] is not None else ""
        assert f"| {row['class']} | {row['positives']} positive | {row['ap']:.3f}{bounds} |" in markdown
    assert f"{metrics['mAP']:.3f} ({metrics['mAP_low']:.3f} to {metrics['mAP_high']:.3f})" in markdown
    dataset = read_dataset(models / "dataset.parquet")
    part = dataset.table[dataset.table["split"] == "train"]
    assert f"| training | {len(part)} | {part['patient_id'].nunique()} |" in markdown
    assert "Subgroups by view" in markdown
    assert all(f"| {name} |" in markdown for name in CLASSES)
    assert "fitted on the validation split" in markdown
    assert cxrlt("pack", "a").code == 2  # it exists


@needs_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_read_the_card(cxrlt: Run, models: Path, tmp_path: Path, scheme: str, browser: Browser) -> None:
    ended = cxrlt("pack", "a", "--calibrate", "a", "--evaluation", "a-test-a", "--name", f"read-{scheme}")
    assert ended.code == 0, ended.err
    card = tmp_path / "card.html"
    card.write_bytes(members(models / f"packs/read-{scheme}.zip")["card.html"])
    refuse_axe_violations(browser, card, scheme, checked=frozenset({"th-has-data-cells", "heading-order"}))


def test_the_same_model_gives_the_same_bytes(cxrlt: Run, models: Path) -> None:
    assert cxrlt("pack", "b", "--name", "c").code == 0
    before = (models / "packs/c.zip").read_bytes()
    assert cxrlt("pack", "b", "--name", "c", "--overwrite").code == 0
    assert (models / "packs/c.zip").read_bytes() == before


@pytest.mark.parametrize(("sources", "message"), [([BOUND], "PhysioNet"), (None, "does not record")])
def test_descendants_of_credentialed_sources_need_the_flag(
    sources: list[object] | None, message: str, cxrlt: Run, models: Path
) -> None:
    marked(models, "b", sources)  # type: ignore[arg-type]
    for model in ("b", "both"):
        ended = cxrlt("pack", model)
        assert ended.code == 2
        assert message in ended.err
        assert "--credentialed" in ended.err
        assert not (models / f"packs/{model}.zip").exists()
    assert cxrlt("pack", "both", "--credentialed").code == 0
    card = members(models / "packs/both.zip")["card.md"].decode()
    assert ("Credentialed. The model learned from images given out under: PhysioNet" in card) is bool(sources)
    assert ("The data sources are not recorded" in card) is not bool(sources)


def test_a_text_that_names_this_machine_or_a_patient_is_refused(
    cxrlt: Run, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: HOST)
    for flag, text in (("--purpose", models), ("--users", "i0001"), ("--users", "pictures:p3"), ("--purpose", HOST)):
        ended = cxrlt("pack", "b", flag, f"For {text}.")
        assert ended.code == 2
        assert "the pack is not written" in ended.err
    assert not (models / "packs/b.zip").exists()


def test_paths_are_found_in_every_form() -> None:
    traces = Traces(["/data/Müller & Co"], ["host"], frozenset({"p:123456"}))
    refuse_traces({"card.md": "ghost of hosts, p:1234567"}, {"the name": "ghosts"}, traces)
    for text in ("/data/Müller & Co/x", json.dumps("/data/Müller & Co"), "/data/Müller &amp; Co", "| p:123456 |", "p:123456."):
        with pytest.raises(UserError, match="not written"):
            refuse_traces({"card.md": text}, {}, traces)
    with pytest.raises(UserError, match="its user"):
        refuse_traces({}, {"the name": "on-host-1"}, traces)


def test_a_folder_in_the_name_of_an_encoder_is_shortened() -> None:
    names = ["resnet18", "hf:microsoft/rad-dino", "timm:hf-hub:timm/vit", "/home/me/models/own", "timm:local-dir:/home/me/own"]
    assert [public_encoder(name) for name in names] == [*names[:3], "./own", "timm:local-dir:./own"]


def test_runs_of_the_version_before_are_packed(cxrlt: Run, golden: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tiny_encoder  # noqa: F401 - registers the network of the golden run

    [run] = [path.parent.name for path in (golden / "runs").glob("*/best.pt")][:1]
    ended = cxrlt("pack", run, "--workspace", golden, "--name", "golden-pack", "--credentialed", "--overwrite")
    assert ended.code == 0, ended.err


def test_a_training_that_has_not_ended_is_said_by_every_command_and_on_the_card(cxrlt: Run, models: Path) -> None:
    marked(models, "a", [BOUND])
    write_status(RunFolder(models / "runs/a"), RunStatus("stopped", epoch=1, step=3))
    for command in (["predict", "a"], ["predict", "--ensemble", "both"], ["export", "a", "--format", "torch"],
                    ["pack", "a", "--credentialed", "--overwrite"]):  # fmt: skip
        ended = cxrlt(*command)
        assert ended.code == 0, ended.err
        assert "runs/a has not ended (stopped after 1 epochs): its best epoch until now is used" in ended.err
        if command[0] == "export":
            assert "give the file only to people who signed the same one" in ended.err
    assert "The training of a had not ended (stopped after 1 epochs)." in members(models / "packs/a.zip")["card.md"].decode()
    assert "has not ended" not in cxrlt("predict", "b").err


def test_info_says_what_a_pack_is(cxrlt: Run, models: Path) -> None:
    best = read_best(RunFolder(models / "runs/a"))
    write_best(
        RunFolder(models / "runs/a"), replace(best, config=replace(best.config, encoder_origin=Origin("o/n", "r7", "MIT")))
    )
    assert cxrlt("pack", "a", "--calibrate", "a", "--overwrite").code == 0
    text = cxrlt("info", "packs/a.zip").out
    for part in (
        "a pack",
        "timm:tiny_net",
        "3: Cardiomegaly, Effusion, Hernia",
        "size 32",
        "o/n, revision r7, MIT",
        "scored one by one",
        "table",
    ):
        assert part in text
    facts = json.loads(cxrlt("info", "packs/a.zip", "--json").out)
    assert (facts["kind"], facts["classes"], facts["calibration"]) == ("pack", CLASSES, "platt")
    assert facts["runs"][0]["encoder_origin"]["licence"] == "MIT"
    (models / "other.zip").write_bytes((models / "packs/a.zip").read_bytes()[:500])
    damaged = cxrlt("info", "other.zip")
    assert (damaged.code, "is not a pack" in damaged.err) == (2, True)


@pytest.mark.parametrize(
    ("threshold", "text"), [(0.5, "0.500"), (0.001, "0.001"), (4e-31, "below 0.001"), (0.9999999953, "above 0.999")]
)
def test_a_threshold_near_0_or_1_is_not_rounded_to_it(threshold: float, text: str) -> None:
    assert threshold_text(threshold) == text
