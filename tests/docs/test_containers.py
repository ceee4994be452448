"""The container files take the steps of the README, and copy what those need."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCKER = (ROOT / "Dockerfile").read_text(encoding="utf-8")
APPTAINER = (ROOT / "apptainer.def").read_text(encoding="utf-8")


def _sections() -> dict[str, list[str]]:
    """Section of the Apptainer definition -> its lines."""
    found: dict[str, list[str]] = {}
    for part in re.split(r"^%", APPTAINER, flags=re.MULTILINE)[1:]:
        name, *lines = part.splitlines()
        found[name] = [line.strip() for line in lines if line.strip()]
    return found


def _copied() -> list[str]:
    """What the Dockerfile copies to /src."""
    return [name for words in re.findall(r"^COPY (.*) /src\S*$", DOCKER, flags=re.MULTILINE) for name in words.split()]


def test_both_install_as_the_readme_says() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Install")[2].partition("##")[0]
    steps = [line.split("#")[0].strip() for line in readme.splitlines() if line.startswith("    pip install")]
    assert len(steps) == 2
    assert re.findall(r"^RUN (.*)$", DOCKER, flags=re.MULTILINE) == steps
    assert _sections()["post"] == ["cd /src", *steps]


def test_both_copy_what_the_package_is_built_from() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = {"pyproject.toml", project["readme"], *project["license-files"], "cxrlt_cli"}
    assert set(_copied()) == needed
    assert all((ROOT / name).exists() for name in needed)
    assert {line.split()[0] for line in _sections()["files"]} == needed
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert set(ignored) == {"*", "**/__pycache__", *(f"!{name}" for name in needed)}


def test_both_have_the_same_base_and_run_cxrlt() -> None:
    base = re.findall(r"^ARG BASE=(\S+)$", DOCKER, flags=re.MULTILINE)
    assert base == re.findall(r"^From: (\S+)$", APPTAINER, flags=re.MULTILINE)
    python = re.fullmatch(r"python:(\d+)\.(\d+)-slim", base[0])
    assert python
    assert tuple(map(int, python.groups())) >= (3, 11)
    assert 'ENTRYPOINT ["cxrlt"]' in DOCKER
    assert _sections()["runscript"] == ['exec cxrlt "$@"']
