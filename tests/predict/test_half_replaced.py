"""A kill while predictions and their CSV get their names: what is left is reported, and the same command makes it whole."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from bad_input import the_message
from conftest import Run
from shared import copied

from cxrlt_cli.artifacts import files
from cxrlt_cli.artifacts.files import claimed
from cxrlt_cli.artifacts.predictions import Predictions, PredictionsHeader, read_predictions
from cxrlt_cli.errors import UserError
from cxrlt_cli.predict.outputs import Outputs


class Killed(BaseException):
    """Ends a process at once: no clean-up of ours runs after it."""


def _write(outputs: Outputs, value: float, failures: dict[str, str]) -> None:
    outputs.write(Predictions(["a"], ["Mass"], np.full((1, 1), value, np.float32), PredictionsHeader(["x"])), failures)


@pytest.mark.parametrize("renames", [1, 2])
def test_what_a_kill_between_two_names_leaves(renames: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = Outputs(tmp_path / "p.parquet", tmp_path / "s.csv", "dicom_id", overwrite=True)
    _write(outputs, 1.0, {"b": "empty"})
    before = read_predictions(outputs.path)
    count, put = 0, files.put_in_place

    def killed(aside: Path, path: Path) -> None:
        nonlocal count
        count += 1
        if count > renames:
            raise Killed
        put(aside, path)

    monkeypatch.setattr(files, "put_in_place", killed)
    with pytest.raises(Killed):
        _write(outputs, 2.0, {"b": "empty"})
    monkeypatch.setattr(files, "put_in_place", put)
    with pytest.raises(UserError, match=r"p\.parquet and the files that belong to it were not all replaced") as caught:
        read_predictions(outputs.path)
    assert "--overwrite" in caught.value.hint
    _write(outputs, 2.0, {})
    assert read_predictions(outputs.path).logits == 2 * before.logits
    assert not (tmp_path / "p.failed.csv").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p.parquet", "s.csv"]


#: Writes predictions and their CSV again, and kills itself after the first of them has got its name.
KILLED = """
import os, signal
from pathlib import Path
import numpy as np
from cxrlt_cli.artifacts import files
from cxrlt_cli.artifacts.predictions import Predictions, PredictionsHeader
from cxrlt_cli.predict.outputs import Outputs

put = files.put_in_place
files.put_in_place = lambda aside, path: (put(aside, path), os.kill(os.getpid(), signal.SIGKILL))
logits = np.full((1, 1), 2, np.float32)
Outputs(Path("p.parquet"), Path("s.csv"), "dicom_id", overwrite=True).write(
    Predictions(["a"], ["Mass"], logits, PredictionsHeader(["x"])), {"b": "empty"}
)
"""


def test_a_process_that_is_killed_between_two_names(tmp_path: Path) -> None:
    outputs = Outputs(tmp_path / "p.parquet", tmp_path / "s.csv", "dicom_id", overwrite=True)
    _write(outputs, 1.0, {})
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    killed = subprocess.run([sys.executable, "-c", KILLED], cwd=tmp_path, env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert (tmp_path / "p.failed.csv").exists(), "it is new"
    assert "0.73" in (tmp_path / "s.csv").read_text(), "it is old: the logistic function of 1"
    with pytest.raises(UserError, match="were not all replaced"):
        read_predictions(outputs.path)
    with claimed(outputs.path, True, *outputs.others):  # removes what the killed process left
        _write(outputs, 2.0, {})
    assert read_predictions(outputs.path).logits == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p.parquet", "s.csv"]


def test_commands_report_it_and_the_same_command_makes_it_whole(cxrlt: Run, golden: Path, tmp_path: Path) -> None:
    workspace = copied(golden, tmp_path)
    (workspace / "predictions/.pair.parquet.replacing").touch()
    for command in (["evaluate", "pair", "--name", "new"], ["info", "predictions/pair.parquet"]):
        ended = cxrlt(*command)
        assert ended.code == 2
        assert "pair.parquet and the files that belong to it were not all replaced" in the_message(ended.err)
    ended = cxrlt("ensemble", "runs/whole", "runs/fused", "--name", "pair", "--overwrite")
    assert ended.code == 0, ended.err
    assert cxrlt("info", "predictions/pair.parquet").code == 0
