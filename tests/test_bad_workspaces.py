"""Workspaces that are none, and command lines that no command understands. Each is refused in one message."""

from pathlib import Path

import pytest
from bad_input import Bad, Content, Run

from cxrlt_cli.app import COMMANDS

#: What would work in a whole workspace. `slurm`, `bench`, `fetch` and `demo` read none.
TYPED = {
    "cache": "--source table=labels.csv --label-columns Mass --size 16",
    "join": "clinic --overwrite",
    "embed-labels": "--encoder ngram",
    "merge": "--label-space chestxray14",
    "train": "--encoder timm:tiny_golden --name new --device cpu",
    "fuse": "whole --name new",
    "study": "heads",
    "predict": "whole --name new --device cpu",
    "ensemble": "whole fused --name new",
    "calibrate": "runs/whole --name new",
    "evaluate": "whole --name new",
    "compare": "whole fused --name new",
    "report": "whole --name new",
    "explain": "whole i08 --name new",
    "import": "labels.csv --name new --kind probabilities",
    "clean": "whole --name new",
    "export": "whole --name new --format torch",
    "runs": "",
    "info": "dataset.parquet",
    "check": "--backbone none",
}
NEED_NOTHING = ("embed-labels", "runs")
SOURCE: dict[str, Content] = {"labels.csv": "image_id,patient_id,Mass\na.png,p,1\n", "a.png": b"\x89PNG"}


def loop(path: Path) -> None:
    path.symlink_to(path.name)


@pytest.mark.parametrize("stage", TYPED)
@pytest.mark.parametrize(
    ("name", "content"),
    [("a file", "text"), ("a link to itself", loop), ("an empty folder", None)],
    ids=lambda value: str(value)[:16],
)
def test_a_workspace_that_is_none(stage: str, name: str, content: Content, cxrlt: Run, golden: Path, tmp_path: Path) -> None:
    if stage in NEED_NOTHING and content is None:
        pytest.skip("it needs nothing of a workspace")
    bad = Bad(name, f"{stage} {TYPED[stage]} --workspace w", "", {**SOURCE, "w": content})
    bad.check(cxrlt, tmp_path, golden)


@pytest.mark.parametrize("stage", TYPED)
def test_a_workspace_whose_folders_are_files(stage: str, cxrlt: Run, golden: Path, tmp_path: Path) -> None:
    folders = ("images", "runs", "predictions", "evaluations", "comparisons", "calibrations", "ensembles", "studies", "reports")
    files = ("dataset.parquet", "label_embeddings.parquet")
    inside: dict[str, Content] = {f"w/{name}": "text" for name in folders} | {f"w/{name}": None for name in files}
    Bad("folders", f"{stage} {TYPED[stage]} --workspace w", "", {**SOURCE, **inside}).check(cxrlt, tmp_path, golden)


@pytest.mark.parametrize("stage", COMMANDS)
@pytest.mark.parametrize("typed", ["--no-such-flag", "-z", "--workspace", "--workspace="])
def test_a_command_line_that_no_command_understands(stage: str, typed: str, cxrlt: Run, golden: Path, tmp_path: Path) -> None:
    Bad(typed, f"{stage} {typed}", "").check(cxrlt, tmp_path, golden)


@pytest.mark.parametrize(
    "typed", ["trian", "Train", "evalute --name x", "embed_labels", "tran", "--workspace x train", "--versoin", "-x"]
)
def test_a_command_that_is_misspelled(typed: str, cxrlt: Run, golden: Path, tmp_path: Path) -> None:
    Bad(typed, typed, "No such ").check(cxrlt, tmp_path, golden)
