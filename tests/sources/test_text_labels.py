"""A column that names the labels of an image."""

from pathlib import Path

import pandas as pd
import pytest

from cxrlt_cli.artifacts.source_table import BLANK
from cxrlt_cli.errors import UserError
from cxrlt_cli.sources.listing import read_text_table
from cxrlt_cli.sources.text_labels import labels_of_texts, names_in

PATH = Path("labels.csv")


@pytest.mark.parametrize(
    ("text", "separator", "names"),
    [
        ("Atelectasis|Effusion", "|", ["Atelectasis", "Effusion"]),
        (" Atelectasis |  Pleural  Effusion|", "|", ["Atelectasis", "Pleural Effusion"]),
        ("Mass", "|", ["Mass"]),
        ("Mass/Mass/Nodule", "/", ["Mass", "Nodule"]),
        ("Mass; Nodule", ";", ["Mass", "Nodule"]),
        ("['pleural effusion', ' kyphosis', '']", "|", ["pleural effusion", "kyphosis"]),
        ("['mass' 'nodule'\n 'cyst']", "|", ["mass", "nodule", "cyst"]),
        ('["mass", "crohn\'s disease"]', "|", ["mass", "crohn's disease"]),
        ("[mass, nodule]", "|", ["mass", "nodule"]),
        ("[]", "|", []),
        ("['']", "|", []),
        ("('mass', 'nodule')", "|", ["mass", "nodule"]),
        ("('mass',)", "|", ["mass"]),
        ("{'mass', 'nodule'}", "|", ["mass", "nodule"]),
        ("['mass', None, nan]", "|", ["mass"]),
        ("crohn's disease|mass", "|", ["crohn's disease", "mass"]),
        ("(left) effusion", "|", ["(left) effusion"]),
    ],
)
def test_the_labels_of_a_cell(text: str, separator: str, names: list[str]) -> None:
    assert names_in(text, separator) == names


def _read(cells: list[object], separator: str = "|") -> tuple[list[str], list[list[int]]]:
    classes, labels = labels_of_texts(pd.Series(cells, name="Labels"), separator, PATH)
    return classes, labels.tolist()


def test_named_is_1_not_named_0_and_a_blank_cell_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    classes, labels = _read(["b|A", None, "A", "  ", "[]"])
    assert classes == ["A", "b"]
    assert labels == [[1, 1], [BLANK, BLANK], [1, 0], [BLANK, BLANK], [0, 0]]
    assert "2 of 5 cells are blank (the first: row 2)" in capsys.readouterr().err


@pytest.mark.filterwarnings("error")
def test_lists_of_a_parquet_file(tmp_path: Path) -> None:
    pd.DataFrame({"image": ["a", "b", "c"], "Labels": [["mass", "cyst"], [], None]}).to_parquet(tmp_path / "t.parquet")
    column = read_text_table(tmp_path / "t.parquet")["Labels"]
    classes, labels = labels_of_texts(column, "|", PATH)
    assert (classes, labels.tolist()) == (["cyst", "mass"], [[1, 1], [0, 0], [BLANK, BLANK]])


@pytest.mark.parametrize(("joined", "separator"), [("Mass, Nodule", ","), ("Mass/Nodule", "/"), ("Nodule;Mass", ";")])
def test_a_label_that_looks_like_several_is_pointed_out(
    joined: str, separator: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _read(["Mass", "Nodule", joined, "Fracture, old"])
    said = capsys.readouterr().err
    assert f"{joined} may be several labels: --separator {separator!r}" in said
    assert "Fracture, old" not in said
    _read(["Mass", "Nodule", joined], separator)
    assert "may be several" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("cells", "says"),
    [
        (["a", "['a', b c']"], "row 2: a list that is not closed"),
        ([None, ""], "column 'Labels' has no labels"),
        ([f"report number {number}" for number in range(2001)], "2001 different labels"),
    ],
)
def test_bad_columns(cells: list[object], says: str) -> None:
    with pytest.raises(UserError, match=says) as caught:
        _read(cells)
    assert caught.value.hint
