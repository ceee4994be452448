"""The stage `demo`: makes phantoms, then types the commands that a user would."""

import shlex
import shutil
import sys
import time
from pathlib import Path

from cxrlt_cli.config.demo import DemoConfig
from cxrlt_cli.console import say
from cxrlt_cli.demo.hard_sources import BOXES, HARD_TAIL, LABEL_SPACE, LABEL_TEXTS, LABELS, write_hard_source
from cxrlt_cli.demo.population import USUAL_TAIL
from cxrlt_cli.demo.sources import HOSPITAL_B_NAMES, write_sources
from cxrlt_cli.errors import USAGE, UserError, reported_os_errors
from cxrlt_cli.machine import cores
from cxrlt_cli.subcommand import run_subcommand
from cxrlt_cli.workspace import Workspace

_MARK = ".cxrlt-demo"  # only a folder that a demonstration made is ever removed by one
_DRAWN = 8 / 3  # times as large as they are cached: caching resizes them, as it does real ones
_HARD_DRAWN = 2
_HARD_SOURCE = "sources/hard"


def run_demo(config: DemoConfig, workspace: Workspace) -> None:
    """Runs every stage on phantoms.

    Raises:
        UserError: the folder exists, cannot be written to, or a stage failed.
    """
    began = time.monotonic()
    folder = config.folder or workspace.root / "cxrlt-demo"
    _make_folder(folder, config.overwrite)
    _draw(config, folder)
    for command in _commands(config):
        _run(command, folder)
    say(f"\nThe whole took {(time.monotonic() - began) / 60:.1f} minutes. Look next at, in {folder}:")
    for path, what in _LOOK_NEXT_HARD if config.findings == "hard" else _LOOK_NEXT[: 3 if config.data_only else None]:
        say(f"  {path:<28}{what}")


def _draw(config: DemoConfig, folder: Path) -> None:
    if config.findings == "hard":
        say(f"drawing {config.phantoms} phantoms with hard findings in {folder / _HARD_SOURCE}")
        tail = HARD_TAIL if config.tail is None else config.tail
        write_hard_source(folder / _HARD_SOURCE, config.phantoms, _HARD_DRAWN * config.size, config.seed, cores(), tail)
        return
    say(f"drawing {config.phantoms} phantoms of two made-up hospitals in {folder / 'sources'}")
    tail = USUAL_TAIL if config.tail is None else config.tail
    write_sources(folder / "sources", config.phantoms, round(_DRAWN * config.size), config.seed, cores(), tail)


_LOOK_NEXT = (
    ("sources/", "what went in: two hospitals, their images and label tables"),
    ("images/*.failed.csv", "the images that could not be read, and why"),
    ("dataset.parquet", "one row an image: labels, patient, split, where its pixels are"),
    ("runs/*/history.jsonl", "loss and each class's AP, epoch by epoch"),
    ("evaluations/demo/", "the table of classes above as per_class.csv and metrics.json"),
    ("comparisons/demo/", "label queries against a linear head, by class"),
    ("reports/demo/report.html", "the same as a page with curves and the worst mistakes: open it in a browser"),
)
_LOOK_NEXT_HARD = (
    (_HARD_SOURCE, "what went in: images, labels, label space, label texts"),
    (f"{_HARD_SOURCE}/{BOXES}", "where each finding is, in pixels of the drawn images"),
    ("dataset.parquet", "one row an image: labels, patient, split, where its pixels are"),
)


def _commands(config: DemoConfig) -> list[list[str]]:
    if config.findings == "hard":
        return _hard_data(config)
    return _data(config) if config.data_only else [*_data(config), *_training(config)]


def _data(config: DemoConfig) -> list[list[str]]:
    labels = ",".join(HOSPITAL_B_NAMES.values())
    size = ["--size", str(config.size)]
    return [
        ["cache", "--source", "chestxray14=sources/hospital-a", "--name", "hospital-a", *size],
        ["cache", "--source", "table=sources/hospital-b/labels.csv", "--name", "hospital-b", "--label-columns", labels, *size],
        ["embed-labels", "--encoder", "ngram"],
        ["merge", "--label-space", "chestxray14", "--same-picture", "keep"],  # no phantom is another, alike as they are
    ]


def _hard_data(config: DemoConfig) -> list[list[str]]:
    classes = f"{_HARD_SOURCE}/{LABEL_SPACE}"
    labels, space = ["--label-columns", classes], ["--label-space", classes]
    source = ["--source", f"table={_HARD_SOURCE}/{LABELS}", "--name", "hard", *labels, "--size", str(config.size)]
    return [
        ["cache", *source],
        ["embed-labels", "--encoder", "ngram", "--texts", f"{_HARD_SOURCE}/{LABEL_TEXTS}", *space],
        ["merge", *space, "--split", "60,10,30", "--same-picture", "keep"],  # rare findings need a large test split
    ]


def _training(config: DemoConfig) -> list[list[str]]:
    train = ["train", "--encoder", "timm:test_resnet", "--stride", "16", "--weights", "none", "--epochs", str(config.epochs)]
    train += ["--batch-size", "32", "--lr", "2e-3", "--seed", str(config.seed)]
    train += ["--precision", "fp32", "--layout", "channels-last"]  # not measured, so that machines come to the same scores
    return [
        [*train, "--name", "linear", "--queries", "none"],
        [*train, "--name", "queries"],
        ["predict", "linear", "--tta", "8", "--merge", "geomean", "--name", "demo-linear"],
        ["predict", "queries", "--tta", "8", "--merge", "geomean", "--name", "demo"],
        ["evaluate", "demo"],
        ["compare", "demo-linear", "demo", "--name", "demo"],
        ["report", "demo"],
    ]


def _make_folder(folder: Path, overwrite: bool) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        if not overwrite:
            raise UserError(
                f"{folder} exists", "--overwrite replaces an earlier demonstration; or name another folder: cxrlt demo DIR"
            )
        if not (folder / _MARK).is_file():
            raise UserError(
                f"{folder} was not made by a demonstration: it is left alone", "name another folder: cxrlt demo DIR"
            )
        shutil.rmtree(folder)
    with reported_os_errors(f"cannot write {folder}"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _MARK).touch()


def _run(command: list[str], folder: Path) -> None:
    say(f"\n$ cxrlt {shlex.join(command)}")
    code = run_subcommand(command, folder).code
    if code == USAGE:
        raise UserError(f"the stage `cxrlt {command[0]}` failed in {folder}", "its message stands above")
    if code:
        sys.exit(code)
