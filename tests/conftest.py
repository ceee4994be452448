"""What tests share: running the real command, small real sources, and the real radiographs where they are."""

import csv
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported: test processes share the cores

import numpy as np
import pytest
from PIL import Image


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


Run = Callable[..., Ended]


@pytest.fixture
def cxrlt(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Runs a command through the program's own entry, in this process, with `tmp_path` as workspace."""
    from cxrlt_cli.app import main

    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["cxrlt", *map(str, arguments)])
        capfd.readouterr()
        try:
            main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        out, err = capfd.readouterr()
        return Ended(code, out, err)

    return run


def start(*arguments: object, cwd: Path) -> "subprocess.Popen[str]":
    """Starts a command as a process of its own, to be sent signals."""
    command = [sys.executable, "-m", "cxrlt_cli", *map(str, arguments)]
    return subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def start_ranks(
    count: int, *arguments: object, cwd: Path, command: Sequence[str] = (sys.executable, "-m", "cxrlt_cli")
) -> "list[subprocess.Popen[str]]":
    """Starts a command as `count` processes that work together, as torchrun would."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {**os.environ, "WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    return [
        subprocess.Popen(
            [*command, *map(str, arguments)],
            cwd=cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(count)
    ]


def ended(processes: "list[subprocess.Popen[str]]", seconds: float = 240) -> list[Ended]:
    """How processes ended, all of them within `seconds`."""
    end = time.monotonic() + seconds
    try:
        told = [process.communicate(timeout=max(end - time.monotonic(), 0.1)) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [Ended(process.returncode, *both) for process, both in zip(processes, told, strict=True)]


def wait_for(path: Path, seconds: float = 60) -> None:
    """Waits until a file is there."""
    end = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < end, f"{path} did not appear"
        time.sleep(0.02)


def type_in(folder: Path, commands: list[list[object]]) -> None:
    """Runs commands in a workspace, in this process; what they raise stops the test."""
    from cxrlt_cli.app import app

    for command in commands:
        app([*map(str, command), "--workspace", str(folder)], standalone_mode=False)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real radiographs and tables, named by CXRLT_REAL_DATA."""
    folder = os.environ.get("CXRLT_REAL_DATA")
    if not folder:
        pytest.skip("CXRLT_REAL_DATA does not name the folder of real radiographs")
    return Path(folder)


CLASSES = ["Cardiomegaly", "Effusion", "Hernia"]


def write_pictures(folder: Path, count: int, seed: int = 0) -> None:
    """A table source: `labels.csv` and PNGs whose brightness, position and stripes show their labels. Two images a patient."""
    draws = np.random.default_rng(seed)
    (folder / "pictures").mkdir(parents=True)
    with (folder / "labels.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image_id", "path", "patient_id", "view", *CLASSES])
        for number in range(count):
            labels = [int(number % 2 == 0), int(number % 3 == 0), int(number % 8 == 1)]
            picture = draws.integers(0, 60, (40, 36))
            picture[:20] += 90 * labels[0]
            picture[20:, :18] += 120 * labels[1]
            picture[:, ::4] += 70 * labels[2]
            name = f"pictures/{number:04}.png"
            Image.fromarray(picture.astype(np.uint8)).save(folder / name)
            writer.writerow([f"i{number:04}", name, f"p{number // 2}", "PA", *labels])


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A table source of 96 small pictures in `tmp_path/source`."""
    write_pictures(tmp_path / "source", 96)
    return tmp_path / "source"


CACHE = ["cache", "--label-columns", ",".join(CLASSES), "--size", "32", "--workers", "2"]


def prepared(cxrlt: Run, pictures: Path, folder: Path) -> None:
    """Caches the pictures, embeds the labels and merges, with `folder` as workspace."""
    for command in (
        [*CACHE, "--source", f"table={pictures / 'labels.csv'}", "--name", "pictures"],
        ["embed-labels", "--encoder", "ngram"],
        ["merge", "--label-space", classes_file(folder), "--split", "50,25,25"],
    ):
        ended = cxrlt(*command)
        assert ended.code == 0, ended.err


@pytest.fixture
def dataset(cxrlt: Run, pictures: Path, tmp_path: Path) -> Path:
    """A workspace (`tmp_path`) with pictures cached, labels embedded and merged."""
    prepared(cxrlt, pictures, tmp_path)
    return tmp_path / "dataset.parquet"


def classes_file(folder: Path) -> Path:
    """A label space with the classes of the pictures."""
    path = folder / "classes.txt"
    path.write_text("\n".join(CLASSES) + "\n")
    return path


#: A network without batch norms and dropout: what it computes of an image does not depend on the others of its batch.
TRAIN_BY_IMAGE = [
    "train", "--encoder", "timm:test_convnext", "--batch-size", "15", "--lr", "1e-3", "--decoder-layers", "1",
    "--decoder-width", "32", "--decoder-feedforward", "32", "--decoder-heads", "2", "--decoder-dropout", "0",
    "--weights", "none",
]  # fmt: skip

TRAIN = [
    "train", "--encoder", "resnet18", "--epochs", "2", "--batch-size", "16", "--lr", "1e-3", "--decoder-layers", "1",
    "--decoder-width", "32", "--decoder-feedforward", "32", "--decoder-heads", "2", "--precision", "fp32", "--layout", "plain",
    "--weights", "none",
]  # fmt: skip
