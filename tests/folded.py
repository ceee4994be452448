"""A workspace with folds, wrong training labels and the study of its folds, made once for the tests of all rooms."""

import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import CACHE, TRAIN, classes_file, type_in
from shared import copied

from cxrlt_cli import subcommand

#: Numbers of the pictures whose label Cardiomegaly is wrong.
FLIPPED = (5, 18, 31, 44, 57, 70, 83)
STUDY = ["study", "folds", "--train", " ".join([*TRAIN[1:], "--epochs", "6", "--lr", "3e-3"]), "--resamples", "100"]
MERGE = ["merge", "--label-space", "classes.txt", "--split", "75,0,25", "--folds", "3", "--overwrite"]


class _OneByOne:
    """Does what the threads of a study do, in the main thread."""

    def __init__(self, _jobs: int) -> None:
        pass

    def __enter__(self) -> "_OneByOne":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def map(self, do: Callable[[Any], Any], tasks: Iterable[Any]) -> list[Any]:
        return [do(task) for task in tasks]


def _in_this_process(arguments: list[str], folder: Path, *_: object) -> subcommand.Ended:
    type_in(folder, [[*arguments]])
    return subcommand.Ended(0, 60.0, 1)


@contextmanager
def studies_in_this_process() -> Iterator[None]:
    """The runs of a study are trained here, one by one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cxrlt_cli.study.runner.run_subcommand", _in_this_process)
        patch.setattr("cxrlt_cli.study.runner.ThreadPoolExecutor", _OneByOne)
        yield


def make_folds(folder: Path, written: Path) -> None:
    """Fills the workspace of the fixture `folds`."""
    labels = copied(written, folder / "source") / "labels.csv"
    table = pd.read_csv(labels)
    table.loc[list(FLIPPED), "Cardiomegaly"] ^= 1
    table.to_csv(labels, index=False)
    classes_file(folder)
    cache = [*CACHE, "--source", f"table={labels}", "--name", "pictures"]
    with studies_in_this_process():
        type_in(folder, [cache, ["embed-labels", "--encoder", "ngram"], MERGE, STUDY])
    for fold in range(2):  # runs under the names that a user gives
        (run,) = (folder / "studies/runs").glob(f"fold-{fold}-*")
        shutil.copytree(run, folder / f"runs/fold{fold}")
