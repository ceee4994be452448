"""What users give to `export`: models, calibrations, evaluations, datasets. Each is refused in one message."""

import os
from pathlib import Path

import pytest
import tiny_encoder  # noqa: F401 - the runs of the golden workspace are of this network
from bad_input import Bad, Content, Run, of_stage

NEW = "whole --name new --format torch"


def calibration(name: str, content: Content, says: str = "x.json") -> tuple[str, str, str, dict[str, Content]]:
    return f"a calibration that is {name}", f"{NEW} --calibrate x.json", says, {"x.json": content}


EXPORT = of_stage("export", [
    ("a run that is misspelled", "whoel --name new --format torch", "nearest is 'whole'"),
    ("an empty name of a run", "'' --name new --format torch", "has an empty value"),
    ("a run that leaves the folder", "../../gone --name new --format torch", "gone"),
    ("two runs", "whole fused --name new --format torch", "unexpected extra argument"),
    ("a fused run", "fused --name new --format torch", "is a fused run"),
    ("predictions", "predictions/whole.parquet --name new --format torch", "predictions/whole.parquet"),
    ("an evaluation", "evaluations/whole --name new --format torch", "evaluations/whole"),
    ("an empty folder", "x --name new --format torch", "x", {"x": None}),
    ("a file of text", "x.json --name new --format torch", "x.json", {"x.json": "text"}),
    ("a list", "x.json --name new --format torch", "x.json", {"x.json": "[]"}),
    ("a pipe", "x --name new --format torch", "x", {"x": os.mkfifo}),
    ("a link to itself", "x --name new --format torch", "x", {"x": lambda path: path.symlink_to("x")}),
    ("a format that is misspelled", "whole --format onxn", "onxn"),
    ("a calibration that is misspelled", f"{NEW} --calibrate wram", "wram"),
    calibration("empty", ""),
    calibration("a list", "[]"),
    calibration("an ensemble", '{"format": "cxrlt ensemble"}'),
    calibration("a pipe", os.mkfifo),
    calibration("a folder", None),
    ("an evaluation that is misspelled", f"{NEW} --evaluation whoel", "whoel"),
    ("an evaluation of an empty folder", f"{NEW} --evaluation x", "x", {"x": None}),
    ("an evaluation of another calibration", f"{NEW} --evaluation calibrated", "calibrat"),
    ("a dataset that is not there", f"{NEW} --dataset gone.parquet", "gone.parquet is not there"),
    ("a dataset that is a CSV", f"{NEW} --dataset x.csv", "x.csv", {"x.csv": "image_id,Mass\na,1\n"}),
    ("a dataset that is predictions", f"{NEW} --dataset predictions/whole.parquet", "predictions"),
    *((f"--compare {text}", f"{NEW} --compare {text}", "--compare") for text in ("0", "-1", "1.5", "x", "nan")),
    ("a name with a path", "whole --name a/b", "cannot be an artifact's name"),
    ("a name that leaves the folder", "whole --name ..", "cannot be an artifact's name"),
    ("a flag that is misspelled", "whole --fromat torch", "--format"),
    ("another command's flag", "whole --tta 8", "--tta"),
])  # fmt: skip


@pytest.mark.parametrize("bad", EXPORT, ids=str)
def test_is_refused_in_one_message(bad: Bad, cxrlt: Run, golden: Path, tmp_path: Path) -> None:
    bad.check(cxrlt, tmp_path, golden)
