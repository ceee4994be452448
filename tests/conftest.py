"""What tests share: running the real command, small real sources, and the real radiographs where they are."""

import csv
import functools
import gc
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported: test processes share the cores

import numpy as np
import pytest
import typer
from browser import Browser
from forked_python import forked_python
from PIL import Image
from processes import Ended, ended, forked_subcommand, kill_all, start, start_ranks, wait_for  # noqa: F401 -- the tests import them from here
from shared import copied, made_once

from cxrlt_cli import subcommand
from cxrlt_cli.artifacts.source_table import SourceTable, read_source_table, write_source_table

Run = Callable[..., Ended]


#: Files whose tests wait for a cluster or take long: they start first, so that none of them runs on when all else is done.
STARTED_FIRST = [
    "cluster/test_slurm.py", "compute/test_distributed.py", "study/test_study.py", "labels/test_merge_real.py",
    "share/test_export_encoders.py", "test_pipeline.py", "share/test_export.py",
]  # fmt: skip


#: A folder in memory: to make, copy and delete the files of a test there takes a fraction of the time that a disk takes.
MEMORY, MEMORY_NEEDED = Path("/dev/shm"), 4 << 30  # bytes; the files of all tests that run at a time have less than one


def pytest_configure() -> None:
    """Keeps compiled files even where Python is asked not to: each process would compile the package and the tests again."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    gc.set_threshold(50_000)  # a tenth of the time would go into looking for cycles among what torch and the tests keep
    if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > MEMORY_NEEDED:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


def pytest_xdist_auto_num_workers() -> int:
    """One more than cores: some tests wait, for a browser, a cluster or a process that was stopped."""
    return len(os.sched_getaffinity(0)) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the tests of `STARTED_FIRST` in front of all others, which keep their order."""
    place = {Path(__file__).parent / name: number for number, name in enumerate(STARTED_FIRST)}
    items.sort(key=lambda item: place.get(item.path, len(place)))


def pytest_collection() -> None:
    """A worker imports torchvision and timm as commands do, without torch's compiler, before a test imports them with it."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        from cxrlt_cli.encoders.import_timm import import_timm
        from cxrlt_cli.model.import_torchvision import import_torchvision

        import_torchvision()
        import_timm()


def pytest_collection_finish() -> None:
    """What was imported and collected stays until the end: no search for cycles has to look at it."""
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def quick() -> Iterator[None]:
    """What costs time in each of a thousand commands and says nothing: the options are built once, disks are not waited for."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(typer.main, "get_command", functools.cache(typer.main.get_command))
        for name in ("fsync", "fdatasync"):
            patch.setattr(os, name, lambda _: None)
        yield
    kill_all()


@pytest.fixture
def cxrlt(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Runs a command through the program's own entry, in this process, with `tmp_path` as workspace."""
    import tiny_encoder  # noqa: F401 -- timm then has the networks of the tests

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


@pytest.fixture
def typed_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands of the demonstration run in this process, which has imported what they need."""

    def run(arguments: list[str], folder: Path) -> subcommand.Ended:
        type_in(folder, [list(arguments)])
        return subcommand.Ended(0, 0.0, 0)

    monkeypatch.setattr("cxrlt_cli.demo.run.run_subcommand", run)


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands that a study types are forked from a process that has imported torch."""
    monkeypatch.setattr("cxrlt_cli.study.runner.run_subcommand", forked_subcommand)


@pytest.fixture(scope="session")
def python() -> Iterator[Path]:
    """A program that others start as `python -m cxrlt_cli` or `cxrlt`: forked from a process that has imported torch."""
    with forked_python() as program:
        yield program


def type_in(folder: Path, commands: list[list[object]]) -> None:
    """Runs commands in a workspace, in this process; what they raise stops the test."""
    import tiny_encoder  # noqa: F401

    from cxrlt_cli.app import app

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for command in commands:
            arguments = list(map(str, command))
            patch.setattr(sys, "argv", ["cxrlt", *arguments])
            app(arguments, standalone_mode=False)


@pytest.fixture
def without_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports without the figures beside the page, which take ten times as long as the page."""
    monkeypatch.setattr("cxrlt_cli.report.report.draw_figures", lambda *_: None)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A running browser, for tests that are marked `needs_browser`."""
    running = Browser()
    yield running
    running.close()


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real radiographs and tables, named by CXRLT_REAL_DATA."""
    folder = os.environ.get("CXRLT_REAL_DATA")
    if not folder:
        pytest.skip("CXRLT_REAL_DATA does not name the folder of real radiographs")
    return Path(folder)


@pytest.fixture
def real_sources(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, SourceTable]:
    """The whole label tables of ChestX-ray14 and CheXpert, 335,534 rows, read once for all tests."""

    def make(folder: Path) -> None:
        from cxrlt_cli.sources.chestxray14 import read_chestxray14
        from cxrlt_cli.sources.chexpert import read_chexpert

        for source in (
            read_chestxray14(real_data / "chestxray14", None).source,
            read_chexpert(folder, real_data / "chexpert/train.csv.gz").source,
        ):
            rows = source.table.assign(row=np.arange(len(source.table)))  # as if every image was cached
            write_source_table(folder / f"{source.kind}.parquet", replace(source, table=rows))

    made = made_once(tmp_path_factory, "real_sources", make)
    return {name: read_source_table(made / f"{name}.parquet") for name in ("chestxray14", "chexpert")}


@pytest.fixture(scope="session")
def golden(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with one artifact of each kind, for commands that change nothing: each process of the tests has its own."""
    return copied(Path(__file__).parent / "data/version_0_2/workspace", tmp_path_factory.mktemp("golden") / "workspace")


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


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table source of 96 small pictures, to be copied."""
    return made_once(tmp_path_factory, "written", lambda folder: write_pictures(folder, 96))


@pytest.fixture
def pictures(written: Path, tmp_path: Path) -> Path:
    """A table source of 96 small pictures in `tmp_path/source`."""
    return copied(written, tmp_path / "source")


CACHE = ["cache", "--label-columns", ",".join(CLASSES), "--size", "32", "--workers", "2"]


def preparation(pictures: Path, folder: Path) -> list[list[object]]:
    """The commands that cache the pictures, embed the labels and merge; `folder` holds the label space."""
    return [
        [*CACHE, "--source", f"table={pictures / 'labels.csv'}", "--name", "pictures"],
        ["embed-labels", "--encoder", "ngram"],
        ["merge", "--label-space", classes_file(folder), "--split", "50,25,25"],
    ]


def prepared(cxrlt: Run, pictures: Path, folder: Path) -> None:
    """Caches the pictures, embeds the labels and merges, with `folder` as workspace."""
    for command in preparation(pictures, folder):
        done = cxrlt(*command)
        assert done.code == 0, done.err


@pytest.fixture(scope="session")
def made_dataset(written: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workspace of `dataset`, to be copied."""

    def make(folder: Path) -> None:
        type_in(folder, preparation(copied(written, folder / "source"), folder))

    return made_once(tmp_path_factory, "dataset", make)


@pytest.fixture
def dataset(made_dataset: Path, tmp_path: Path) -> Path:
    """A workspace (`tmp_path`) with pictures cached, labels embedded and merged."""
    return copied(made_dataset, tmp_path) / "dataset.parquet"


@pytest.fixture(scope="session")
def made_folds(written: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workspace of `folds`, to be copied."""
    from folded import make_folds

    return made_once(tmp_path_factory, "folds", lambda folder: make_folds(folder, written))


@pytest.fixture
def folds(made_folds: Path, tmp_path: Path) -> Path:
    """A workspace (`tmp_path`) with a dataset in three folds, wrong training labels, and the study of the folds."""
    return copied(made_folds, tmp_path)


def classes_file(folder: Path) -> Path:
    """A label space with the classes of the pictures."""
    path = folder / "classes.txt"
    path.write_text("\n".join(CLASSES) + "\n")
    return path


#: A network without batch norms and dropout: what it computes of an image does not depend on the others of its batch.
TRAIN_BY_IMAGE = [
    "train", "--encoder", "timm:tiny_net_without_norms", "--batch-size", "15", "--lr", "1e-3", "--decoder-layers", "1",
    "--decoder-width", "32", "--decoder-feedforward", "32", "--decoder-heads", "2", "--decoder-dropout", "0",
    "--precision", "fp32", "--layout", "plain", "--weights", "none",
]  # fmt: skip

TRAIN = [
    "train", "--encoder", "timm:tiny_net", "--epochs", "2", "--batch-size", "16", "--lr", "1e-3", "--decoder-layers", "1",
    "--decoder-width", "32", "--decoder-feedforward", "32", "--decoder-heads", "2", "--precision", "fp32", "--layout", "plain",
    "--weights", "none",
]  # fmt: skip


@pytest.fixture(scope="session")
def made_models(made_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models to share: two runs, predictions, a calibration, an evaluation, an ensemble and a pack, to be copied."""

    def make(folder: Path) -> None:
        copied(made_dataset, folder)
        type_in(
            folder,
            [
                *([*TRAIN, "--epochs", "1", "--name", name, "--seed", seed] for name, seed in (("a", 0), ("b", 1))),
                ["calibrate", "a", "--name", "a"],
                ["predict", "a", "--calibrate", "a"],
                ["evaluate", "a-test-a", "--bootstrap", "20", "--name", "a-test-a", "--by", "view", "--by", "patient_id"],
                ["ensemble", "a", "b", "--name", "both"],
                ["pack", "a", "--calibrate", "a", "--evaluation", "a-test-a"],
            ],
        )

    return made_once(tmp_path_factory, "models", make)


@pytest.fixture
def models(made_models: Path, tmp_path: Path) -> Path:
    """Those, in `tmp_path`."""
    return copied(made_models, tmp_path)
