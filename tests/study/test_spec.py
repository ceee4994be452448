"""Studies as they are declared."""

from pathlib import Path

import pytest

from cxrlt_cli.errors import UserError
from cxrlt_cli.study.spec import read_study


@pytest.mark.parametrize(
    "name", ["heads", "classifier", "reweight", "text", "missing", "external", "bag", "unseen", "complexity", "encoder"]
)
def test_built_in_studies_have_a_question_and_variants(name: str) -> None:
    study = read_study(name, ["a", "b"])
    assert study.asks.endswith(("?", "."))
    assert len(study.variants) >= 3


def test_a_star_stands_for_each_source() -> None:
    study = read_study("external", ["nih", "chexpert"])
    assert [variant.name for variant in study.variants] == ["all", "without nih", "without chexpert"]
    assert study.variant("without nih").train == ("--source-weight=nih=0",)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x = [", "cannot be read as TOML"),
        ("[variants]\na = {}", "declares fewer than two variants"),
        ("wat = 1\n[variants]\na = {}\nb = {}", "unknown keys wat"),
        ('[variants]\na = {}\nb = { trian = ["--mixup=1"] }', "are keys of a variant"),
        ('[variants]\na = {}\nb = { train = "--mixup=1" }', "a list of flags"),
        ('[variants]\na = {}\nb = { train = ["mixup"] }', "a list of flags"),
        ('[variants]\na = {}\nb = { hard = "c" }', "does not declare"),
        ('labels-from = "c"\n[variants]\na = {}\nb = {}', "does not declare"),
        ('[variants]\na = {}\nb = { merge = ["--missing=pseudo"] }', "belong together"),
    ],
)
def test_what_is_no_study_is_refused(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(text)
    with pytest.raises(UserError, match=says):
        read_study(str(tmp_path / "own.toml"), [])


def test_a_mistyped_name_is_told_the_nearest() -> None:
    with pytest.raises(UserError, match="nearest is 'reweight'"):
        read_study("rewieght", [])


def test_budgets_are_variants_with_a_base_each(tmp_path: Path) -> None:
    path = tmp_path / "heads.toml"
    path.write_text(
        'asks = "?"\n[variants]\nlinear = { train = ["--queries=none"], epochs = [1, 5] }\nother = { epochs = [5] }\n'
    )
    study = read_study(str(path), [])
    assert [variant.name for variant in study.variants] == ["linear, 1 ep", "linear, 5 ep", "other, 5 ep"]
    assert study.variants[1].train == ("--queries=none", "--epochs=5")
    assert study.base_of(study.variants[2]).name == "linear, 5 ep"
    assert study.base_of(study.variants[0]) == study.variants[0]


@pytest.mark.parametrize("epochs", ["5", "[0]", '["5"]', "[1.5]"])
def test_budgets_that_are_no_epochs_are_refused(epochs: str, tmp_path: Path) -> None:
    path = tmp_path / "heads.toml"
    path.write_text(f'asks = "?"\n[variants]\nlinear = {{ epochs = {epochs} }}\nother = {{}}\n')
    with pytest.raises(UserError, match="epochs is a list"):
        read_study(str(path), [])
