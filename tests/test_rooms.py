"""The rooms of the code: who may import whom."""

import ast
import functools
from collections import Counter
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from cxrlt_cli.app import COMMANDS

PACKAGE = Path(__file__).parents[1] / "cxrlt_cli"
FILES = sorted(PACKAGE.rglob("*.py"))
TOP = {
    "options", "results", "errors", "console", "workspace", "signals", "machine", "paths", "subcommand",
    "config_file", "portable", "app", "__init__", "__main__",
}  # fmt: skip

#: Room -> the rooms it may import beside itself. Top-level modules are open to all but `tricks` and `metrics`.
MAY_IMPORT: dict[str, set[str]] = {
    "artifacts": set(),
    "config": set(),
    "tricks": set(),
    "metrics": set(),
    "labels": {"artifacts", "config"},
    "sources": {"artifacts", "labels"},
    "preprocess": {"artifacts", "config", "sources"},
    "text": {"artifacts", "config", "encoders", "labels", "model"},
    "data": {"artifacts", "tricks"},
    "encoders": {"artifacts", "config"},
    "model": {"config", "data", "encoders"},
    "compute": {"artifacts", "model"},
    "scores": {"artifacts", "data", "labels", "metrics"},
    "readers": {"artifacts", "labels", "metrics", "scores", "sources"},
    "train": {"artifacts", "compute", "config", "data", "encoders", "labels", "metrics", "model", "tricks"},
    "features": {"artifacts", "compute", "config", "data", "model", "train"},
    "import_scores": {"artifacts", "config", "labels", "metrics", "sources"},
    "predict": {"artifacts", "compute", "config", "data", "encoders", "metrics", "model", "preprocess", "scores", "sources"}
    | {"text"},
    "evaluate": {"artifacts", "config", "labels", "metrics", "readers", "scores", "sources"},
    "explain": {"artifacts", "compute", "config", "data", "labels", "metrics", "model", "predict", "preprocess"},
    "report": {"artifacts", "compute", "config", "data", "explain", "labels", "metrics", "predict", "scores"},
    "clean": {"artifacts", "compute", "config", "data", "explain", "metrics", "predict", "report", "scores"},
    "share": {"artifacts", "config", "data", "predict", "report", "scores", "sources"},
    "info": {"artifacts", "config", "report"},
    "demo": {"artifacts", "config"},
    "cluster": {"artifacts", "config", "data", "encoders", "model", "text"},
    "study": {"artifacts", "config", "labels", "metrics"},
    "bench": {"artifacts", "compute", "config", "data", "model", "predict", "train"},
}


@functools.cache
def _imports(path: Path) -> set[str]:
    """Dotted names of the modules that a file imports, at its top or inside functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            found.add(node.module or "")
    return found


#: Files of `config` that are no command's options: any room that may import `config` may use them.
GRAMMARS = {"grammar", "train_grammar", "encoder_name", "saved_options"}
#: Files that check the command lines of other commands before they are run.
WRITERS_OF_COMMANDS = {"app.py", "study/plan.py", "cluster/slurm.py"}


def _room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_one_way(path: Path) -> None:
    room = _room(path)
    ours = {name.split(".")[1] for name in _imports(path) if name.startswith("cxrlt_cli.")}
    if room in TOP:
        allowed = TOP | {"config"} if room in ("app", "__main__") else TOP
    elif room in ("tricks", "metrics"):
        allowed = {room}
    else:
        allowed = TOP - ({"app", "options"} if room == "compute" else {"app"}) | MAY_IMPORT[room] | {room}
    assert ours <= allowed, f"{room} imports {sorted(ours - allowed)}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_artifacts_know_the_file_formats(path: Path) -> None:
    packages = {name.split(".")[0] for name in _imports(path)}
    if _room(path) != "artifacts":
        assert not packages & {"h5py", "pyarrow"}
    assert not packages & {"click", "pickle"} - ({"pickle"} if "UnpicklingError" in path.read_text() else set())
    if _room(path) == "tricks":
        assert packages <= {"torch", "math", "collections", "dataclasses"}
    if _room(path) == "metrics":
        threads = (
            {"torch", "concurrent", "os", "sys", "typing"}
            if path.stem in ("resampling", "bootstrap", "resampled_decisions", "permutation")
            else set()
        )
        assert packages <= {"numpy", "scipy", "math", "collections", "dataclasses", "cxrlt_cli"} | threads


def test_the_plan_names_every_room_and_no_other() -> None:
    assert {path.parent.name for path in PACKAGE.glob("*/__init__.py")} == set(MAY_IMPORT)
    assert not list(PACKAGE.rglob("utils*"))


def test_no_two_rooms_import_each_other() -> None:
    TopologicalSorter(MAY_IMPORT).prepare()
    assert "train" not in MAY_IMPORT["predict"]
    assert "scores" in MAY_IMPORT["evaluate"] & MAY_IMPORT["report"]
    assert "config" not in MAY_IMPORT["compute"]


def test_options_stop_at_the_door() -> None:
    """An options class is imported by the file of its stage alone, which hands plain values on."""
    doors = {config.__module__: target.partition(":")[0].removeprefix("cxrlt_cli.") for config, target, _ in COMMANDS.values()}
    assert len(doors) == len(COMMANDS)
    strays = []
    for path in FILES:
        name = path.relative_to(PACKAGE).as_posix()
        for module in _imports(path) if _room(path) != "config" and name not in WRITERS_OF_COMMANDS else ():
            if module.startswith("cxrlt_cli.config.") and module.rpartition(".")[2] not in GRAMMARS:
                door = doors.get(module, "").replace(".", "/") + ".py"
                strays += [f"{name} imports {module}"] if name != door else []
    assert not strays


def test_files_are_short() -> None:
    long = {str(path): count for path in FILES if (count := len(path.read_text().splitlines())) > 300}
    assert not long


#: Rooms of many short files of one kind: a trick, a training's part, a command's options, a file format.
LARGE_ROOMS = {"tricks", "train", "config", "artifacts"}


def test_a_room_has_at_most_sixteen_files() -> None:
    sizes = Counter(_room(path) for path in FILES if path.parent != PACKAGE and path.name != "__init__.py")
    assert len(sizes) == len(MAY_IMPORT)
    assert not {room: size for room, size in sizes.items() if size > 16 and room not in LARGE_ROOMS}
