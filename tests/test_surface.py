"""The command line as a user meets it. `surface.txt` is the frozen list of flags: a change of it is a visible diff."""

import inspect
import re
import subprocess
import sys
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
from conftest import Run

from cxrlt_cli.app import COMMANDS as ROWS
from cxrlt_cli.app import app
from cxrlt_cli.options import flag_name
from cxrlt_cli.workspace import Workspace

SURFACE = Path(__file__).with_name("surface.txt")
COMMANDS = {str(command.name): command.callback for command in app.registered_commands}
HEAVY = {"torch", "torchvision", "pandas", "numpy", "h5py", "pyarrow", "transformers", "PIL"}


def _parameters(command: str) -> list[inspect.Parameter]:
    callback = COMMANDS[command]
    assert callback is not None
    return list(inspect.signature(callback).parameters.values())


def _surface() -> str:
    """A line for each parameter of each command: flag, type, default."""
    lines = []
    for name in sorted(COMMANDS):
        lines.append(name)
        for parameter in _parameters(name):
            kind, info = get_args(parameter.annotation)
            flag = info.default if isinstance(info.default, str) else parameter.name.upper()  # Typer keeps the flag there
            text = kind.__name__ if isinstance(kind, type) and not get_args(kind) else str(kind)
            lines.append(f"    {flag} {text} = {str(parameter.default)!r}")
    return "\n".join(lines).replace("pathlib.", "").replace("typing.", "") + "\n"


def test_the_list_of_flags_is_frozen() -> None:
    """After a meant change: python tests/test_surface.py > tests/surface.txt."""
    assert _surface() == SURFACE.read_text()


def test_help_imports_nothing_heavy() -> None:
    """How fast it is: `benchmarks/help.py`."""
    code = f"""
import sys
from cxrlt_cli.app import app
for command in {["", *COMMANDS]}:
    try:
        app([*filter(None, [command]), "--help"], prog_name="cxrlt")
    except SystemExit as end:
        assert not end.code, command
print("HEAVY", sorted(set(sys.modules) & {HEAVY!r}))
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.count("Usage: cxrlt") == 1 + len(COMMANDS)
    assert ended.stdout.endswith("HEAVY []\n")


PANELS = {
    "train": ["Data", "Network", "Loss", "Sampling", "Augmentation", "Optimisation", "Hardware", "Run"],
    "cache": ["Source", "Pixels", "Table source (--source table=FILE)", "Run"],
    "predict": ["Arguments", "Model", "Images", "Scores", "Hardware", "Output"],
    "merge": ["Sources", "Labels", "Missing and uncertain labels", "Corrections", "Split", "Output"],
    "evaluate": ["Arguments", "Options"],
}


@pytest.mark.parametrize("command", PANELS)
def test_help_shows_options_under_their_panels(command: str, cxrlt: Run) -> None:
    lines = cxrlt(command, "--help").out.splitlines()
    assert [line.removesuffix(":") for line in lines if re.fullmatch(r"[A-Z].*:", line) and "Usage" not in line] == PANELS[
        command
    ]
    shown = {word for line in lines for word in line.split()[:1] if word.startswith("--")}
    assert shown >= {flag_name(field) for field in fields(ROWS[command][0]) if not field.metadata["argument"]}
    assert {"--help", "--workspace"} <= {word.strip(",") for line in lines for word in line.split()}


@pytest.mark.parametrize("command", COMMANDS)
def test_each_row_names_a_function_from_options_and_workspace_to_an_artifact(command: str) -> None:
    config, target, _ = ROWS[command]
    module, _, name = target.partition(":")
    hints = get_type_hints(getattr(import_module(module), name))
    artifact = hints.pop("return")
    assert list(hints.values()) == [config, Workspace]
    assert artifact.__module__ == "cxrlt_cli.results"
    assert artifact.__dataclass_params__.frozen


def test_help_shows_every_command_under_its_panel(cxrlt: Run) -> None:
    lines = [line for line in cxrlt("--help").out.splitlines() if line]
    for panel in dict.fromkeys(panel for _, _, panel in ROWS.values()):
        below = lines[lines.index(f"{panel}:") + 1 :]
        names = [name for name, row in ROWS.items() if row[2] == panel]
        assert [line.split()[0] for line in below[: len(names)]] == names


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_and_option_has_a_help_text(command: str) -> None:
    assert (COMMANDS[command].__doc__ or "").strip()
    for parameter in _parameters(command):
        assert get_args(parameter.annotation)[1].help, parameter.name


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["cache", "--siez", "64"], "--siez"),
        (["nonsense"], "nonsense"),
        (["train", "--classifier", "sperate"], "sperate"),
        (["train", "--epochs", "x"], "--epochs"),
        (["cache", "--resume=no"], "--resume"),
    ],
)
def test_typos_are_errors(arguments: list[str], says: str, cxrlt: Run) -> None:
    ended = cxrlt(*arguments)
    assert ended.code == 2
    assert says in ended.err


def test_version(cxrlt: Run) -> None:
    ended = cxrlt("--version")
    assert ended.code == 0
    assert ended.out.startswith("cxrlt 0.")


if __name__ == "__main__":
    sys.stdout.write(_surface())
