"""Tables of readers and of expert labels: aligned by id and name, and refused where they are not clear."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from read_images import CLASSES, reads_of, scored_images

from cxrlt_cli.errors import UserError
from cxrlt_cli.readers.label_table import HumanLabels, read_human_labels

SCORED = scored_images()


def read(table: pd.DataFrame, folder: Path, **given: object) -> HumanLabels:
    path = folder / "reads.csv"
    table.to_csv(path, index=False)
    options = {"columns": ("", ""), "uncertain": "leave-out", "readers": True} | given
    return read_human_labels(path, SCORED, **options)  # type: ignore[arg-type]


def test_rows_in_any_order_and_ids_without_ending(tmp_path: Path) -> None:
    table = reads_of(SCORED, "BA")
    wanted = np.stack([table[table["Reader ID"] == name][["Mass", "Pleural Thickening"]] == "YES" for name in "AB"])
    mixed = table.sample(frac=1, random_state=0)
    mixed["Image ID"] = mixed["Image ID"].str.removesuffix(".png")
    found = read(mixed.assign(Other="NO", Abnormal="0"), tmp_path)
    assert found.names == ["A", "B"]
    assert (found.positive == wanted).all()
    assert found.known.all()


@pytest.mark.parametrize(("uncertain", "positive", "known"), [("leave-out", 0, 0), ("positive", 1, 1), ("negative", 0, 1)])
def test_uncertain_and_blank(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], uncertain: str, positive: bool, known: bool
) -> None:
    table = pd.DataFrame({"image_id": ["i000.png", "i001.png"], "Mass": ["HEDGE", None], "Pleural_Thickening": ["1", "0"]})
    found = read(table, tmp_path, uncertain=uncertain, readers=False)
    assert found.names == [""]
    assert (found.positive[0, 0, 0], found.known[0, 0, 0]) == (positive, known)
    assert found.known[0, 1].tolist() == [False, True]
    assert not found.known[0, 2:].any()
    said = capsys.readouterr().err
    assert "1 uncertain labels" in said
    assert "1 blank labels" in said


def test_images_that_were_not_scored_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = reads_of(SCORED, "A")
    more = pd.concat([table, table.assign(**{"Image ID": "x" + table["Image ID"]})])
    assert read(more, tmp_path).known.all()
    assert "120 of its 240 images are not among the 120 that were scored" in capsys.readouterr().err


def test_a_row_twice_counts_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = reads_of(SCORED, "A")
    assert read(pd.concat([table, table[:3]]), tmp_path).known.all()
    assert "3 rows twice, with the same labels" in capsys.readouterr().err


def _changed(column: str, value: object) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def change(table: pd.DataFrame) -> pd.DataFrame:
        table.loc[4, column] = value
        return table

    return change


def _again_with_another_label(table: pd.DataFrame) -> pd.DataFrame:
    other = table[:1].assign(Mass=lambda rows: rows["Mass"].map({"YES": "NO", "NO": "YES"}))
    return pd.concat([table, other])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.drop(columns="Image ID"), "no column of the image"),
        (lambda table: table.drop(columns="Reader ID"), "no column of the reader"),
        (lambda table: table.rename(columns={"Mass": "X", "Pleural Thickening": "Y"}), "none of the classes Mass"),
        (lambda table: table.assign(pleural_thickening="NO"), "for one class"),
        (_changed("Mass", "maybe"), "column 'Mass', row 5: 'maybe' is not a label"),
        (_changed("Image ID", None), "column 'Image ID' is empty in 1 rows"),
        (_changed("Reader ID", None), "column 'Reader ID' is empty in 1 rows"),
        (lambda table: table.assign(**{"Image ID": "x" + table["Image ID"]}), "no image in common"),
        (_again_with_another_label, r"1 rows again with other labels \(rows 361\): i000.png / A"),
    ],
)
def test_bad_tables(tmp_path: Path, change: Callable[[pd.DataFrame], pd.DataFrame], message: str) -> None:
    with pytest.raises(UserError, match=message):
        read(change(reads_of(SCORED)), tmp_path)


def test_columns_by_name(tmp_path: Path) -> None:
    table = reads_of(SCORED).rename(columns={"Image ID": "picture", "Reader ID": "who"})
    assert read(table, tmp_path, columns=("picture", "who")).names == ["A", "B", "C"]
    with pytest.raises(UserError, match="no column 'nobody'"):
        read(table, tmp_path, columns=("picture", "nobody"))
    with pytest.raises(UserError, match="is not there"):
        read_human_labels(tmp_path / "none.csv", SCORED, ("", ""), "leave-out", readers=True)
    assert SCORED.classes == CLASSES
