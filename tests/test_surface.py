"""The command line as a user meets it. `surface.txt` is the frozen list of flags: a change of it is a visible diff."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer.main

from cxrlt_cli.app import app

SURFACE = Path(__file__).with_name("surface.txt")
COMMANDS = sorted(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
HEAVY = {"torch", "torchvision", "pandas", "numpy", "h5py", "pyarrow", "transformers", "PIL"}


def _surface() -> str:
    """A line for each parameter of each command: names, type, default."""
    lines = []
    for name in COMMANDS:
        command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
        lines.append(name)
        for parameter in command.params:
            flags = "/".join([*parameter.opts, *parameter.secondary_opts])
            kind = " ".join(str(getattr(parameter.type, "choices", parameter.type.name)).split())
            many = " ..." if parameter.multiple or parameter.nargs == -1 else ""
            lines.append(f"    {flags} {kind}{many} = {parameter.default!r}")
    return "\n".join(lines) + "\n"


def test_the_list_of_flags_is_frozen() -> None:
    """After a meant change: python tests/test_surface.py > tests/surface.txt."""
    assert _surface() == SURFACE.read_text()


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)], ids=lambda command: " ".join(command) or "cxrlt")
def test_help_comes_within_half_a_second_and_imports_nothing_heavy(command: list[str]) -> None:
    code = "import sys; sys.argv[0] = 'cxrlt'\n"
    code += "from cxrlt_cli.app import main\ntry: main()\nexcept SystemExit: pass\n"
    code += f"print('HEAVY', sorted(set(sys.modules) & {HEAVY!r}))"
    seconds = []
    for _ in range(3):  # the best of three: the machine may be busy
        began = time.perf_counter()
        ended = subprocess.run([sys.executable, "-c", code, *command, "--help"], capture_output=True, text=True, check=True)
        seconds.append(time.perf_counter() - began)
        if seconds[-1] < 0.5:
            break
    assert "Usage" in ended.stdout
    assert "HEAVY []" in ended.stdout
    assert min(seconds) < 0.5, seconds


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_and_option_has_a_help_text(command: str) -> None:
    found = typer.main.get_command(app).commands[command]  # type: ignore[attr-defined]
    assert found.help
    assert all(parameter.help for parameter in found.params)


@pytest.mark.parametrize(
    "arguments", [["cache", "--siez", "64"], ["nonsense"], ["train", "--encoder", "resnet19"], ["train", "--epochs", "x"]]
)
def test_typos_are_errors(arguments: list[str], cxrlt) -> None:  # type: ignore[no-untyped-def]
    ended = cxrlt(*arguments)
    assert ended.code == 2
    assert arguments[-1] in ended.err or arguments[1] in ended.err


def test_version(cxrlt) -> None:  # type: ignore[no-untyped-def]
    ended = cxrlt("--version")
    assert ended.code == 0
    assert ended.out.startswith("cxrlt 0.")


if __name__ == "__main__":
    sys.stdout.write(_surface())
