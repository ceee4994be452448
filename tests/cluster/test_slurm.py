"""The batch scripts, submitted to a real Slurm; it is a cluster of virtual nodes that the test starts for itself."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from conftest import CLASSES, TRAIN_BY_IMAGE, Run, classes_file
from slurm_sandbox import slurm, why_not

from cxrlt_cli.model.encoder import VisualEncoder

STAGES = ["cache-labels", "embed-labels", "evaluate", "join-labels", "merge", "predict", "train"]
SCRIPTS = sorted(["env.sh", "logs", "submit.sh", *(f"{stage}.sbatch" for stage in STAGES)])


@pytest.fixture(scope="module")
def cluster() -> Iterator[dict[str, str]]:
    """The environment of a running Slurm of three nodes."""
    if why_not():
        pytest.skip(f"no Slurm here: {why_not()}")
    with slurm(3) as environment:
        yield environment


def _until(holds: Callable[[], bool], seconds: float = 150) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.2)


def _jobs(environment: dict[str, str]) -> dict[str, dict[str, str]]:
    """Job name -> what Slurm knows of it."""
    told = subprocess.run(
        ["scontrol", "show", "job", "--oneliner"], env=environment, capture_output=True, text=True, check=True
    ).stdout
    rows = [dict(field.split("=", 1) for field in line.split() if "=" in field) for line in told.splitlines()]
    return {row["JobName"]: row for row in rows}


def _write(cxrlt: Run, pictures: Path, tmp_path: Path, epochs: int, python: Path) -> list[list[object]]:
    """Writes the scripts, whose jobs start `cxrlt` as the program `python`; gives the same pipeline as commands to be typed."""
    cache = ["--label-columns", ",".join(CLASSES), "--size", "32"]
    merge = ["--label-space", str(classes_file(tmp_path)), "--split", "50,25,25"]
    train = [*TRAIN_BY_IMAGE[1:], "--epochs", str(epochs), "--save-every", "1", "--average", "ema:0.9", "--mixup", "0.4"]
    source = f"table={pictures / 'labels.csv'}"
    scripts = ["slurm", "jobs", "--source", source, "--shards", 2, "--nodes", 2, "--gpus", 0, "--cpus", 1, "--time", "30:00"]
    options = [
        "--cache",
        " ".join(cache),
        "--embed-labels=--encoder ngram",
        "--merge",
        " ".join(merge),
        "--train",
        " ".join(train),
    ]
    done = cxrlt(*scripts, *options, "--setup", f"export PATH={python.parent}:$PATH")
    assert done.code == 0, done.err
    return [
        ["cache", "--source", source, "--name", "labels", *cache],
        ["embed-labels", "--encoder", "ngram"],
        ["merge", *merge],
        ["train", "--name", "base", *train],
        ["predict", "base", "--name", "base"],
        ["evaluate", "base"],
    ]


@pytest.mark.timeout(900)  # a minute on idle cores
def test_the_chain_survives_a_signal_and_a_preemption_and_ends_as_by_hand(
    cluster: dict[str, str], cxrlt: Run, pictures: Path, python: Path, tmp_path: Path
) -> None:
    by_hand = _write(cxrlt, pictures, tmp_path, 30, python)
    run = tmp_path / "runs/base"
    subprocess.run([tmp_path / "jobs/submit.sh"], env=cluster, check=True, capture_output=True)

    _until((run / "last.pt").exists)
    train = _jobs(cluster)["cxrlt-train-base"]["JobId"]
    subprocess.run(["scancel", "--signal=USR1", train], env=cluster, check=True)
    _until(lambda: _jobs(cluster)["cxrlt-train-base"]["Restarts"] == "1")
    assert json.loads((run / "status.json").read_text())["state"] == "stopped"

    _until(lambda: json.loads((run / "status.json").read_text())["state"] == "running")
    urgent = ["sbatch", "--partition=urgent", "--nodes=3", "--exclusive", "--output=/dev/null", "--wrap", "true"]
    subprocess.run(urgent, env=cluster, check=True, capture_output=True)
    _until(lambda: _jobs(cluster)["cxrlt-train-base"]["Restarts"] == "2")

    _until((tmp_path / "evaluations/base/metrics.json").exists)
    found = json.loads((tmp_path / "evaluations/base/metrics.json").read_text())
    log = (run / "log.txt").read_text()
    assert log.count("resumed after") == 2
    assert "2 ranks" in log
    states = {name: job["JobState"] for name, job in _jobs(cluster).items() if name.startswith("cxrlt")}
    assert set(states.values()) <= {"COMPLETED", "COMPLETING", "RUNNING"}, states

    for command in by_hand:
        done = cxrlt(*command, "--workspace", tmp_path / "by-hand")
        assert done.code == 0, done.err
    expected = json.loads((tmp_path / "by-hand/evaluations/base/metrics.json").read_text())
    assert found["mAP"] == pytest.approx(expected["mAP"], abs=1e-6)


@pytest.mark.timeout(600)
def test_a_cancelled_training_stays_cancelled(
    cluster: dict[str, str], cxrlt: Run, dataset: Path, python: Path, tmp_path: Path
) -> None:
    _write(cxrlt, tmp_path / "source", tmp_path, 500, python)
    subprocess.run(["sbatch", tmp_path / "jobs/train.sbatch"], env=cluster, check=True, capture_output=True)
    status = tmp_path / "runs/base/status.json"
    _until((tmp_path / "runs/base/last.pt").exists)
    train = _jobs(cluster)["cxrlt-train-base"]["JobId"]
    subprocess.run(["scancel", train], env=cluster, check=True)
    _until(lambda: _jobs(cluster)["cxrlt-train-base"]["JobState"] == "CANCELLED")
    _until(lambda: json.loads(status.read_text())["state"] == "stopped")
    time.sleep(7)  # longer than a job waits that was queued again
    job = _jobs(cluster)["cxrlt-train-base"]
    assert (job["JobState"], job["Restarts"]) == ("CANCELLED", "0")


@pytest.mark.timeout(600)
def test_features_are_stored_by_an_array_and_trained_on(
    cluster: dict[str, str], cxrlt: Run, dataset: Path, python: Path, tmp_path: Path
) -> None:
    torch.save(VisualEncoder("timm:test_resnet").network.state_dict(), tmp_path / "encoder.pth")
    features = f"--encoder timm:test_resnet --weights {tmp_path / 'encoder.pth'} --grid 1"
    train = "--epochs 2 --batch-size 16 --decoder-width 32 --decoder-feedforward 32 --decoder-heads 2"
    scripts = ["slurm", "jobs", "--source", "table=labels.csv", "--shards", 2, "--gpus", 0, "--cpus", 1, "--time", "30:00"]
    setup = f"export PATH={python.parent}:$PATH"
    done = cxrlt(*scripts, "--features", features, "--train", train, "--setup", setup)
    assert done.code == 0, done.err
    submit = (tmp_path / "jobs/submit.sh").read_text()
    assert submit.index("features.sbatch") < submit.index("join-features.sbatch") < submit.index(" train.sbatch")
    before = ""
    for stage in ("features", "join-features", "train"):
        waits = [f"--dependency=afterok:{before}"] if before else []
        command = ["sbatch", "--parsable", "--kill-on-invalid-dep=yes", *waits, str(tmp_path / f"jobs/{stage}.sbatch")]
        before = subprocess.run(command, env=cluster, check=True, capture_output=True, text=True).stdout.strip()
    _until(lambda: _jobs(cluster)["cxrlt-train-base"]["JobState"] not in ("PENDING", "RUNNING"))
    log = "".join(path.read_text() for path in (tmp_path / "jobs/logs").iterdir())
    assert _jobs(cluster)["cxrlt-train-base"]["JobState"] == "COMPLETED", log
    assert json.loads((tmp_path / "runs/base/config.json").read_text())["features"]["grid"] == 1


def test_what_is_written(cxrlt: Run, pictures: Path, python: Path, tmp_path: Path) -> None:
    _write(cxrlt, pictures, tmp_path, 3, python)
    assert sorted(path.name for path in (tmp_path / "jobs").iterdir()) == SCRIPTS
    for script in (tmp_path / "jobs").glob("*.s*"):
        assert subprocess.run(["bash", "-n", script], check=False).returncode == 0
        assert "@" not in script.read_text().replace("USR1@120", "").replace("[@]", "").replace("$@", "").replace("@:2", "")
    done = cxrlt("slurm", "jobs", "--source", f"table={pictures / 'labels.csv'}")
    assert done.code == 2
    assert "env.sh exists" in done.err
    more = ["--partition", "gpu", "--account", "lab", "--gpus", 4, "--sbatch=--qos=high", "--setup", "module load cuda"]
    done = cxrlt("slurm", "others", "--source", f"table={pictures / 'labels.csv'}", *more)
    assert done.code == 0, done.err
    train = (tmp_path / "others/train.sbatch").read_text()
    for line in ("--partition=gpu", "--account=lab", "--qos=high", "--gpus-per-node=4", "--nodes=1 --ntasks-per-node=4"):
        assert f"#SBATCH {line}" in train
    assert "module load cuda\n" in (tmp_path / "others/env.sh").read_text()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "no source"),
        (["--source", "chexpart=/x"], "nearest is 'chexpert'"),
        (["--source", "chexpert=/x", "--train", "--epoch 3"], "--epoch"),
        (["--source", "chexpert=/x", "--train", "--mixup -1"], "--mixup"),
        (["--source", "chexpert=/x", "--features", "--gird 7"], "--gird"),
        (["--source", "chexpert=/x", "--features", "--grid 7", "--train", "--cutmix 1"], "--cutmix"),
        (
            ["--source", "chexpert=/x", "--features", "--grid 7", "--train", "--weights imagenet"],
            "--weights imagenet would replace",
        ),
        (["--source", "chexpert=/x", "--features", "rad-dino"], "rad-dino stands without the name of an option"),
        (["--source", "chexpert=/x", "--features", "--name x"], "--name x would replace the scripts' --name base"),
        (["--source", "chexpert=/x", "--cache", "--shard 1/8"], "--shard 1/8 would replace the scripts' --shard 0/16"),
        (["--source", "chexpert=/x", "--cache", "--name x"], "--name x would replace the scripts' --name chexpert"),
        (["--source", "chexpert=/x", "--train", "--name x"], "--name x would replace the scripts' --name base"),
        (["--source", "chexpert=/x", "--predict", "other"], "base other stands without the name of an option"),
        (["--source", "chexpert=/x", "--predict", "--name x"], "--name x would replace the scripts' --name base"),
        (["--source", "chexpert=/x", "--time", "soon"], "--time 'soon'"),
        (["--source", "chexpert=/x", "--nodes", "0"], "--nodes 0"),
        (["--source", "chexpert=/x", "--source", "chexpert=/y"], "two sources have one name"),
    ],
)
def test_typing_errors_are_told_before_a_job_is_submitted(arguments: list[str], says: str, cxrlt: Run, tmp_path: Path) -> None:
    ended = cxrlt("slurm", "jobs", *arguments)
    assert ended.code == 2
    assert says in ended.err
    assert not (tmp_path / "jobs").exists()


def test_no_value_becomes_a_line_of_a_script(
    cxrlt: Run, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Folders with a newline in their name are refused, and what looks like a name of the template is not filled in."""
    folder = tmp_path / "a\ntouch made"
    folder.mkdir()
    monkeypatch.chdir(folder)
    ended = cxrlt("slurm", "jobs", "--source", f"table={pictures / 'labels.csv'}", "--workspace", tmp_path)
    assert ended.code == 2
    assert "holds a control character" in ended.err
    assert not list(folder.iterdir())
    monkeypatch.chdir(tmp_path)
    ended = cxrlt(
        "slurm", "@NAME@", "--source", f"table={pictures / 'labels.csv'}", "--name", "run @OUT@", "--account", "@RESTARTS@"
    )
    assert ended.code == 0, ended.err
    train = (tmp_path / "@NAME@/train.sbatch").read_text()
    assert f"source {tmp_path}/@NAME@/env.sh" in train
    assert "train --name 'run @OUT@' --resume" in train
    assert "#SBATCH --account=@RESTARTS@\n" in train


@pytest.mark.parametrize("flag", ["--partition", "--account", "--name"])
@pytest.mark.parametrize("value", ["a; touch made", "$(touch made)", "a\ttouch made", "`touch made`"])
def test_names_of_a_cluster_and_of_a_run_are_names(flag: str, value: str, cxrlt: Run, tmp_path: Path) -> None:
    ended = cxrlt("slurm", "jobs", "--source", "chexpert=/x", f"{flag}={value}")
    assert ended.code == 2
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("stage", ["cache", "embed-labels", "merge", "train", "predict", "evaluate"])
def test_a_quote_that_is_not_closed(stage: str, cxrlt: Run, tmp_path: Path) -> None:
    ended = cxrlt("slurm", "jobs", "--source", "chexpert=/x", f"--{stage}=--name 'a")
    assert ended.code == 2
    assert f"--{stage}" in ended.err
    assert "No closing quotation" in ended.err
    assert not list(tmp_path.iterdir())
