"""Lists in the documentation against the tables of the code that they repeat."""

import importlib
import pkgutil
import re
import tomllib
from importlib import resources
from pathlib import Path

import yaml

from cxrlt_cli import __version__, artifacts
from cxrlt_cli.config.cache import KINDS
from cxrlt_cli.errors import STOPPED_BY_SIGTERM, STOPPED_BY_SIGUSR1, USAGE
from cxrlt_cli.labels.spaces import built_in_spaces

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def _first_cells(page: str) -> list[str]:
    return re.findall(r"^\| `?([^`|]+?)`? \|", (DOCS / page).read_text(encoding="utf-8"), flags=re.MULTILINE)


def test_each_kind_of_source_has_a_section_and_a_row() -> None:
    text = (DOCS / "reference/sources.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^## (.+)$", text, flags=re.MULTILINE)) == set(KINDS)
    assert set(KINDS) <= set(_first_cells("reference/sources.md"))


def test_each_format_of_artifacts_is_listed_with_its_version() -> None:
    names = [module.name for module in pkgutil.iter_modules(artifacts.__path__)]
    modules = [importlib.import_module(f"cxrlt_cli.artifacts.{name}") for name in names]
    formats = {(module.FORMAT.removeprefix("cxrlt "), str(module.VERSION)) for module in modules if hasattr(module, "FORMAT")}
    text = (DOCS / "reference/artifacts.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\| ([a-z ]+), (\d+)[^|]*\|$", text, flags=re.MULTILINE)) == formats


def test_exit_codes() -> None:
    listed = set(_first_cells("reference/exit-codes.md"))
    assert {"0", "1", str(USAGE), str(STOPPED_BY_SIGUSR1), str(STOPPED_BY_SIGTERM)} <= listed


def test_each_built_in_study_is_listed() -> None:
    declared = tomllib.loads(resources.files("cxrlt_cli.study").joinpath("studies.toml").read_text(encoding="utf-8"))
    assert set(declared) <= set(_first_cells("how-to/study.md"))


def test_each_label_space_is_named() -> None:
    text = (DOCS / "how-to/merge.md").read_text(encoding="utf-8")
    assert not [name for name in built_in_spaces() if f"`{name}`" not in text]


def test_the_citation_is_of_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["version"] == __version__


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150
    assert all((DOCS / "images" / name).stat().st_size < 150_000 for name in ("report.png", "explain.png"))
