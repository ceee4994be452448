"""The stage `demo`: draws phantoms, then runs the commands that a user would type."""

import shlex
import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path

from cxrlt_cli.config.demo import DemoConfig
from cxrlt_cli.console import say
from cxrlt_cli.demo.composed_findings import held_out
from cxrlt_cli.demo.hard_sources import BOXES, COMPOSED, HARD, LABEL_SPACE, LABEL_TEXTS, LABELS, write_hard_source
from cxrlt_cli.demo.population import USUAL_TAIL
from cxrlt_cli.demo.sources import HOSPITAL_B_NAMES, write_sources
from cxrlt_cli.errors import USAGE, UserError, reported_os_errors
from cxrlt_cli.machine import cores
from cxrlt_cli.paths import exists, is_file, is_folder
from cxrlt_cli.results import DemoFolder
from cxrlt_cli.subcommand import run_subcommand
from cxrlt_cli.workspace import Workspace

_MARK = ".cxrlt-demo"  # only folders created by a demonstration are ever removed
_DRAWN = 8 / 3  # drawn larger than cached, so that caching resizes them as it does real images
_HARD_DRAWN = 2
_SETS = {"hard": HARD, "composed": COMPOSED}


def run_demo(config: DemoConfig, workspace: Workspace) -> DemoFolder:
    """Runs all stages on phantoms.

    Raises:
        UserError: the folder exists, cannot be written to, or a stage failed.
    """
    began = time.monotonic()
    folder = config.folder or workspace.root / "cxrlt-demo"
    _make_folder(folder, config.overwrite)
    _draw(config, folder)
    for command in _commands(config):
        _run(command, folder)
    say("")
    say(f"Finished in {(time.monotonic() - began) / 60:.1f} minutes. Results in {folder}:")
    for path, what in _look_next(config):
        say(f"  {path:<28}{what}")
    return DemoFolder(folder)


def _draw(config: DemoConfig, folder: Path) -> None:
    if config.findings != "standard":
        source, chosen = folder / "sources" / config.findings, _SETS[config.findings]
        say(f"drawing {config.phantoms} phantoms with {config.findings} findings in {source}")
        chosen = chosen if config.tail is None else replace(chosen, tail=config.tail)
        write_hard_source(source, config.phantoms, _HARD_DRAWN * config.size, config.seed, cores(), chosen)
        return
    say(f"drawing {config.phantoms} phantoms of two synthetic hospitals in {folder / 'sources'}")
    tail = USUAL_TAIL if config.tail is None else config.tail
    write_sources(folder / "sources", config.phantoms, round(_DRAWN * config.size), config.seed, cores(), tail)


_LOOK_NEXT = (
    ("sources/", "input: two hospitals, their images and label tables"),
    ("images/*.failed.csv", "the images that could not be read, and why"),
    ("dataset.parquet", "one row per image: labels, patient, split, location of its pixels"),
    ("runs/*/history.jsonl", "loss and AP of each class, epoch by epoch"),
    ("evaluations/demo/", "the table above as per_class.csv and metrics.json"),
    ("comparisons/demo/", "label queries compared with a linear head, by class"),
    ("reports/demo/report.html", "report page with curves and the worst mistakes: open it in a browser"),
)


def _look_next(config: DemoConfig) -> tuple[tuple[str, str], ...]:
    """Paths in the folder, and what they are."""
    if config.findings == "standard":
        return _LOOK_NEXT[: 3 if config.data_only else None]
    source = f"sources/{config.findings}"
    return (
        (source, "input: images, labels, label space, label texts"),
        (f"{source}/{BOXES}", "box of each finding, in pixels of the drawn images"),
        ("dataset.parquet", "one row per image: labels, patient, split, location of its pixels"),
    )


def _commands(config: DemoConfig) -> list[list[str]]:
    if config.findings != "standard":
        return _hard_data(config)
    return _data(config) if config.data_only else [*_data(config), *_training(config)]


def _data(config: DemoConfig) -> list[list[str]]:
    labels = ",".join(HOSPITAL_B_NAMES.values())
    size = ["--size", str(config.size)]
    return [
        ["cache", "--source", "chestxray14=sources/hospital-a", "--name", "hospital-a", *size],
        ["cache", "--source", "table=sources/hospital-b/labels.csv", "--name", "hospital-b", "--label-columns", labels, *size],
        ["embed-labels", "--encoder", "ngram"],
        ["merge", "--label-space", "chestxray14", "--same-picture", "keep"],  # phantoms are similar but never duplicates
    ]


def _hard_data(config: DemoConfig) -> list[list[str]]:
    folder = f"sources/{config.findings}"
    classes = f"{folder}/{LABEL_SPACE}"
    labels, space = ["--label-columns", classes], ["--label-space", classes]
    source = ["--source", f"table={folder}/{LABELS}", "--name", config.findings, *labels, "--size", str(config.size)]
    held = ["--hold-out", ",".join(held_out())] if config.findings == "composed" else []
    return [
        ["cache", *source],
        ["embed-labels", "--encoder", "ngram", "--texts", f"{folder}/{LABEL_TEXTS}", *space],
        ["merge", *space, *held, "--split", "60,10,30", "--same-picture", "keep"],  # rare findings need a large test split
    ]


def _training(config: DemoConfig) -> list[list[str]]:
    train = ["train", "--encoder", "timm:test_resnet", "--stride", "16", "--weights", "none", "--epochs", str(config.epochs)]
    train += ["--batch-size", "32", "--lr", "2e-3", "--seed", str(config.seed)]
    train += [
        "--precision",
        "fp32",
        "--layout",
        "channels-last",
    ]  # fixed, so that scores do not depend on the machine
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
    if exists(folder) and (not is_folder(folder) or any(folder.iterdir())):
        if not overwrite:
            raise UserError(
                f"{folder} exists", "--overwrite replaces an earlier demonstration; or choose another folder: cxrlt demo DIR"
            )
        if not is_file(folder / _MARK):
            raise UserError(
                f"{folder} was not created by cxrlt demo and is left unchanged", "choose another folder: cxrlt demo DIR"
            )
        shutil.rmtree(folder)
    with reported_os_errors(f"cannot write {folder}"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _MARK).touch()


def _run(command: list[str], folder: Path) -> None:
    say("")
    say(f"$ cxrlt {shlex.join(command)}")
    code = run_subcommand(command, folder).code
    if code == USAGE:
        raise UserError(f"the stage `cxrlt {command[0]}` failed in {folder}", "its message stands above")
    if code:
        sys.exit(code)
