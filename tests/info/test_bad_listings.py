"""What users give to `runs`. Each is refused in one message, and no file is removed."""

import os
from pathlib import Path

import pytest
from bad_input import Bad, Run, of_stage

RUNS = of_stage("runs", [
    ("--yes alone", "--yes", "--yes needs --clean"),
    ("a question to a program", "--clean --json", "a program cannot answer"),
    ("a run", "whole", "unexpected extra argument"),
    ("a value of a switch", "--clean=yes", "--clean"),
    ("a flag that is misspelled", "--claen", "--clean"),
    ("another command's flag", "--overwrite", "--overwrite"),
    ("an empty workspace", "--workspace ''", "--workspace has an empty value"),
    ("a workspace that is a file", "--workspace x", "x is not a folder", {"x": ""}),
    ("a workspace that is a pipe", "--workspace x", "x is not a folder", {"x": os.mkfifo}),
    ("a workspace that is a link to itself", "--workspace x", "cannot be looked at", {"x": lambda path: path.symlink_to("x")}),
    ("a workspace that is not there", "--workspace gone", "gone is not a folder"),
    ("a name too long of a workspace", f"--workspace {'x' * 300}", "is not a folder"),
    ("a folder of runs that is a file", "--workspace w", "w/runs is not a folder", {"w/runs": ""}),
])  # fmt: skip


@pytest.mark.parametrize("bad", RUNS, ids=str)
def test_is_refused_in_one_message(bad: Bad, cxrlt: Run, golden: Path, tmp_path: Path) -> None:
    bad.check(cxrlt, tmp_path, golden)
