"""In which form a run computes, and in how many parts a step."""

import json
from pathlib import Path

import pytest
import torch
from conftest import TRAIN, Run

from cxrlt_cli.artifacts.run import read_checkpoint
from cxrlt_cli.artifacts.run_config import ComputeMode
from cxrlt_cli.compute import autotune
from cxrlt_cli.compute.autotune import Workload, choose_compute_mode
from cxrlt_cli.compute.device import choose_precision
from cxrlt_cli.config.train import TrainConfig
from cxrlt_cli.options import select

CPU = torch.device("cpu")


def _weights(run: Path) -> dict[str, torch.Tensor]:
    weights: dict[str, torch.Tensor] = read_checkpoint(run / "last.pt", ["model"])["model"]
    return weights


@pytest.mark.parametrize(
    ("seconds", "chosen"),
    [
        ({"fp32, plain": 1.0, "fp32, channels-last": 0.95, "bf16, plain": 0.9}, "fp32, plain"),
        ({"fp32, plain": 1.0, "fp32, channels-last": 0.7, "bf16, plain": 1.3}, "fp32, channels-last"),
        ({"fp32, plain": 1.0, "fp32, channels-last": 1.2, "bf16, plain": 0.5}, "bf16, plain"),
        ({"fp32, plain": 1.0, "fp32, channels-last": 0.8, "bf16, plain": 0.5}, "bf16, channels-last"),
    ],
)
def test_only_what_is_clearly_faster_is_chosen(
    seconds: dict[str, float], chosen: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(autotune, "_pass", lambda _encoder, _images, form: seconds[form.name])
    monkeypatch.setattr(autotune, "computes_bf16", lambda _: True)
    found = choose_compute_mode(select(Workload, TrainConfig(encoder="resnet18", batch_size=4)), 32, CPU)
    assert found.name == chosen
    assert found.images_per_s == {name: round(4 / time, 2) for name, time in seconds.items()}
    assert f"using {chosen} (measured: fp32, plain 4.0 images/s" in capsys.readouterr().err


def test_what_flags_say_is_not_measured_and_a_measurement_changes_no_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(3)
    workload = select(Workload, TrainConfig(encoder="resnet18", batch_size=2, precision="fp32"))
    measured = choose_compute_mode(workload, 32, CPU)
    drawn = torch.rand(2)
    torch.manual_seed(3)
    assert torch.equal(drawn, torch.rand(2))
    assert set(measured.images_per_s) == {"fp32, plain", "fp32, channels-last"}
    monkeypatch.setattr(autotune, "_pass", None)
    assert choose_compute_mode(select(Workload, TrainConfig(precision="bf16", layout="channels-last")), 32, CPU) == ComputeMode(
        "bf16", "channels-last"
    )


def test_bf16_is_not_measured_on_a_processor_without_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(autotune, "_pass", lambda _encoder, _images, form: {"fp32": 1.0, "bf16": 0.5}[form.precision])
    workload = select(Workload, TrainConfig(encoder="resnet18", batch_size=2, layout="plain"))
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: True)
    assert choose_compute_mode(workload, 32, CPU).name == "bf16, plain"
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    assert choose_compute_mode(workload, 32, CPU) == ComputeMode("fp32", "plain")
    assert "no instructions for bf16" not in capsys.readouterr().err
    assert choose_precision("bf16", CPU) == torch.bfloat16
    assert "this processor has no instructions for bf16" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--encoder", "resnet18", "--weights", "imagenet"], "ImageNet weights of resnet18 are not on this machine"),
        (["--weights", "nothing.pt"], "nothing.pt cannot be read as weights"),
        (["--weights", "classes.txt"], "classes.txt cannot be read as weights"),
        (["--loss", "focl"], "nearest is 'focal'"),
        (["--loss", "focal:0.5"], "GAMMA must be 0 or at least 1"),
        (["--average", "emma"], "--average 'emma'"),
        (["--sampling", "often"], "--sampling 'often'"),
        (["--source-weight", "nih=2"], "no training image is of 'nih'"),
        (["--reweight", "hard9"], "--reweight"),
    ],
)
def test_what_must_fail_fails_before_anything_is_measured(
    options: list[str], says: str, cxrlt: Run, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measured(*_: object) -> None:
        raise AssertionError("measured")

    monkeypatch.setattr("cxrlt_cli.train.start.choose_compute_mode", measured)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    ended = cxrlt(*TRAIN, "--layout", "auto", "--precision", "auto", *options)
    assert ended.code == 2, ended.err
    assert says in ended.err
    assert not (tmp_path / "runs").exists()


def test_a_run_keeps_its_form(cxrlt: Run, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    speeds = {"fp32, plain": 1.0, "fp32, channels-last": 0.5, "bf16, plain": 2.0}
    monkeypatch.setattr(autotune, "computes_bf16", lambda _: True)
    monkeypatch.setattr(autotune, "_pass", lambda _encoder, _images, form: speeds[form.name])
    auto = [*TRAIN, "--epochs", "1", "--layout", "auto", "--precision", "auto"]
    assert cxrlt(*auto, "--name", "measured").code == 0
    described = json.loads((tmp_path / "runs/measured/config.json").read_text())
    assert (described["form"]["precision"], described["form"]["layout"]) == ("fp32", "channels-last")
    monkeypatch.setattr(autotune, "_pass", None)  # nothing more is measured
    ended = cxrlt(*auto, "--name", "alike", "--seed", "1")
    assert ended.code == 0, ended.err
    assert "using fp32, channels-last, as measured for" in ended.err
    assert json.loads((tmp_path / "runs/alike/config.json").read_text())["form"] == described["form"]
    assert cxrlt(*auto, "--name", "said", "--layout", "channels-last", "--precision", "fp32").code == 0
    one, other = (_weights(tmp_path / f"runs/{name}") for name in ("measured", "said"))
    assert all(torch.equal(one[key], other[key]) for key in one)

    for name in ("last.pt", "best.pt", "history.jsonl", "status.json"):  # as if killed before the first epoch was saved
        (tmp_path / "runs/measured" / name).unlink()
    ended = cxrlt(*auto, "--name", "measured", "--resume")
    assert ended.code == 0, ended.err
    again = _weights(tmp_path / "runs/measured")
    assert all(torch.equal(one[key], again[key]) for key in one)


FROZEN = ["--freeze", "encoder", "--decoder-dropout", "0", "--epochs", "1"]


def test_parts_add_up_to_the_whole_step(cxrlt: Run, dataset: Path, tmp_path: Path) -> None:
    """With statistics of batch norms at rest, and labels that are not known, more in one part than in another."""
    table = (tmp_path / "source/labels.csv").read_text().splitlines()
    blank = [line.rsplit(",", 1)[0] + "," if number % 5 == 1 else line for number, line in enumerate(table)]
    (tmp_path / "source/labels.csv").write_text("\n".join(blank) + "\n")
    source = ["--source", f"table={tmp_path / 'source/labels.csv'}", "--name", "pictures", "--size", 32, "--overwrite"]
    assert cxrlt("cache", *source, "--label-columns", "Cardiomegaly,Effusion,Hernia").code == 0
    merge = ["merge", "--label-space", tmp_path / "classes.txt", "--blank", "ignore", "--split", "50,25,25", "--overwrite"]
    assert cxrlt(*merge).code == 0
    assert cxrlt(*TRAIN, "--epochs", "1", "--name", "first").code == 0
    for name, parts in (("whole", 1), ("parts", 4), ("found", 0)):
        more = ["--weights", tmp_path / "runs/first", "--accumulate", parts, "--name", name, "--mixup", "0.4"]
        ended = cxrlt(*TRAIN, *FROZEN, *more)
        assert ended.code == 0, ended.err
    whole, parts, found = (_weights(tmp_path / f"runs/{name}") for name in ("whole", "parts", "found"))
    assert any(not torch.equal(whole[key], parts[key]) for key in whole), "they were computed in parts"
    assert all(torch.allclose(whole[key], parts[key], atol=2e-4) for key in whole)
    assert all(torch.equal(whole[key], found[key]) for key in whole), "all fits"
    assert json.loads((tmp_path / "runs/found/config.json").read_text())["parts"] == 1


def test_checkpointing_gives_the_same_run(cxrlt: Run, dataset: Path, tmp_path: Path) -> None:
    for name, more in (("all", []), ("less", ["--checkpointing"])):
        ended = cxrlt(*TRAIN, "--encoder", "resnet18", "--epochs", "1", "--average", "ema:0.9", "--name", name, *more)
        assert ended.code == 0, ended.err
    one, other = (_weights(tmp_path / f"runs/{name}") for name in ("all", "less"))
    assert all(torch.allclose(one[key].float(), other[key].float(), atol=1e-5) for key in one)


def test_two_way_loss_and_parts_exclude_each_other(cxrlt: Run, dataset: Path, tmp_path: Path) -> None:
    ended = cxrlt(*TRAIN, "--loss", "two-way", "--accumulate", "2")
    assert ended.code == 2
    assert "--accumulate would change it" in ended.err
    assert not (tmp_path / "runs").exists()
