"""cxrlt from Python: the notebook of the documentation is executed, and its page names every function."""

import json
import re
from importlib import import_module
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from cxrlt_cli.app import COMMANDS
from cxrlt_cli.artifacts.run import Run
from cxrlt_cli.artifacts.run_config import read_run_config

HOW_TO = Path(__file__).parents[1] / "docs/how-to"


def _execute(notebook: Path) -> dict[str, Any]:
    """Runs the code cells in one namespace, as a fresh kernel would; the value of a cell's last line is not kept."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for number, cell in enumerate(json.loads(notebook.read_text())["cells"]):
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [], "the notebook is kept without outputs"
            exec(compile("".join(cell["source"]), f"{notebook.name}, cell {number}", "exec"), names)
    return names


def test_the_notebook_goes_from_images_to_a_table_and_a_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names = _execute(HOW_TO / "python.ipynb")
    assert names["images"].count == sum(names["dataset"].images.values())
    assert names["run"].checkpoint.is_file()
    assert 0 < names["run"].best_map < 1
    assert read_run_config(Run(names["run"].folder)).provenance.command == ["cxrlt_cli.train.train.train_run()"]
    assert names["scores"].images == names["dataset"].images["test"]
    assert set(names["per_class"].index) == set(names["dataset"].classes)
    defined = names["per_class"]["ap"].dropna()
    assert len(defined) >= 5
    assert defined.between(0, 1).all()
    assert names["explanation"].maps.is_file()
    assert names["explanation"].sheets[0].read_bytes().startswith(b"\x89PNG")
    captured = capfd.readouterr()
    assert captured.out == ""
    assert all(line.startswith("warning: ") for line in captured.err.splitlines() if line.strip()), captured.err


def test_the_page_lists_every_command_with_its_options_function_and_result() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \| `([\w.]+)` \| `([\w.]+)` \| `(\w+)` \|$", (HOW_TO / "python.md").read_text(), re.M)
    expected = []
    for name, (options, target, _) in COMMANDS.items():
        module, _, function = target.partition(":")
        result = get_type_hints(getattr(import_module(module), function))["return"]
        short = [
            f"{path}.{last}".removeprefix("cxrlt_cli.")
            for path, last in ((options.__module__, options.__name__), (module, function))
        ]
        expected.append((name, *short, result.__name__))
    assert rows == expected
