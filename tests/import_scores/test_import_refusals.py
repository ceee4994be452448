"""`cxrlt import` of bad input: one message, exit code 2, nothing written."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import Run
from foreign_tables import IMPORT, LABELS, PATTERN, write_tables

Change = Callable[[pd.DataFrame], pd.DataFrame]
GOOD = [*IMPORT, *LABELS, *PATTERN]


def without(options: list[str], *flags: str) -> list[str]:
    """The words of a command without some flags and their values."""
    kept, words = [], iter(options)
    for word in words:
        if word in flags:
            next(words)
        else:
            kept.append(word)
    return kept


def cell(column: str, value: str, row: int = 0) -> Change:
    def change(table: pd.DataFrame) -> pd.DataFrame:
        table[column] = table[column].astype(object)
        table.loc[row, column] = value
        return table

    return change


def twice(value: str) -> Change:
    """The first image again, with another score of Mass."""
    return lambda table: pd.concat([table, table.head(1).assign(prob_Mass=value)])


SCORES: dict[str, tuple[Change, list[str]]] = {
    "a probability above 1": (cell("prob_Mass", "1.25", 3), ["1 of 360 scores are outside 0 … 1 (the first: 1.25, ", "Mass"]),
    "a probability below 0": (cell("prob_Hernia", "-0.5"), ["1 of 360 scores are outside 0 … 1 (the first: -0.5, "]),
    "an infinite score": (cell("prob_Mass", "inf"), ["1 of 360 scores are outside 0 … 1"]),
    "a word": (cell("prob_Mass", "high"), ["column 'prob_Mass'", "'high' is not a number"]),
    "a decimal comma": (cell("prob_Mass", "0,5"), ["'0,5' is not a number", "decimal point"]),
    "an image twice with other scores": (twice("0.123"), ["lists 1 images more than once"]),
    "a blank id": (cell("Image Index", ""), ["column 'Image Index' is empty in 1 rows"]),
    "no scores at all": (lambda t: t.assign(prob_Mass="", prob_Hernia=""), ["no image has a score for each of"]),
    "no such columns": (lambda t: t.rename(columns=lambda name: name.replace("prob", "p")), ["no column of", "p_Mass"]),
    "other classes": (
        lambda t: t.rename(columns={c: c.replace("prob_", "prob_x") for c in t}),
        ["no class has both scores and labels: scores.csv has xMass", "labels.csv has Hernia"],
    ),
    "two columns of one class": (
        lambda t: t.assign(**{"prob_Pleural Thickness": t["prob_Mass"]}),
        ["'Pleural_Thickening', 'Pleural Thickness' are the same class"],
    ),
    "other images": (
        lambda t: t.assign(**{"Image Index": "x" + t["Image Index"]}),
        ["no image of scores.csv has a label in labels.csv: the scores have x", "the labels 0000_000.png"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SCORES)
def test_bad_scores_are_refused(cxrlt: Run, tmp_path: Path, name: str) -> None:
    change, texts = SCORES[name]
    write_tables(tmp_path)
    change(pd.read_csv(tmp_path / "scores.csv", dtype=str)).to_csv(tmp_path / "scores.csv", index=False)
    refused(cxrlt, tmp_path, [*GOOD, "--kind", "probabilities"], texts)


def refused(cxrlt: Run, folder: Path, command: list[str], texts: list[str]) -> None:
    before = sorted(folder.rglob("*"))
    ended = cxrlt(*command)
    assert ended.code == 2
    for text in texts:
        assert text in ended.err
    assert ended.err.count("error: ") == 1
    assert sorted(folder.rglob("*")) == before


NO_COLUMNS = without(GOOD, "--columns")
OPTIONS: dict[str, tuple[list[str], list[str]]] = {
    "no id column": (without(GOOD, "--id-column"), ["has no column image_id", '--id-column "Image Index"']),
    "no pattern": (NO_COLUMNS, ["no class has both", '--columns "prob_{class}"']),
    "a column that is not there": ([*NO_COLUMNS, "--columns", "prob_Mas"], ["prob_Mas; nearest is 'prob_Mass'"]),
    "no labels": (without(GOOD, "--labels", "--label-column", "--patient-pattern"), ["no labels: ", "--labels TABLE"]),
    "label flags without a table": (without(GOOD, "--labels"), ["--label-column, --patient-pattern: only with --labels"]),
    "no label columns": (without(GOOD, "--label-column"), ["which columns are labels?", '--label-column "Finding Labels"']),
    "no patient in the pattern": ([*GOOD[:-1], "{p}_{n}.png"], ["with one {patient}"]),
    "a pattern that does not fit": ([*GOOD[:-1], "{patient}-{n}.png"], ["120 of 120 image ids do not fit", "0000_000.png"]),
    "two classes in the pattern": ([*NO_COLUMNS, "--columns", "{class}{class}"], ["braces other than one {class}"]),
    "two kinds of patients": ([*GOOD, "--patient-column", "p"], ["exclude each other"]),
    "row numbers of two files": ([*GOOD, "--id-column", "#"], ["the labels must be in the same file"]),
    "a file that is not there": (["import", "nowhere.csv", *GOOD[2:]], ["nowhere.csv is not there"]),
    "a folder": (["import", ".", *GOOD[2:], "--name", "x"], [". is a folder"]),
    "a map without columns": ([*NO_COLUMNS, "--columns", "labels.csv"], ["labels.csv has no column column, class"]),
}  # fmt: skip


@pytest.mark.parametrize("name", OPTIONS)
def test_bad_options_are_refused_with_what_to_type(cxrlt: Run, tmp_path: Path, name: str) -> None:
    write_tables(tmp_path)
    refused(cxrlt, tmp_path, *OPTIONS[name])


def test_an_unknown_value_in_a_label_column_is_named(cxrlt: Run, tmp_path: Path) -> None:
    present, _ = write_tables(tmp_path)
    words = present.replace({True: "YES", False: "NO"}).rename_axis("Image Index")
    words.loc["0003_001.png", "Hernia"] = "MAYBE"
    words.to_csv(tmp_path / "words.csv")
    command = [*IMPORT, "--labels", "words.csv", "--values", "YES=1,NO=0", *PATTERN]
    refused(cxrlt, tmp_path, command, ["column 'Hernia', row 8: 'MAYBE' is not a label", "MAYBE=…"])
    ended = cxrlt(*command[:-4], "--values", "YES=1,NO=0,MAYBE=-1", *PATTERN)
    assert ended.code == 0, ended.err
    assert "1 uncertain labels are unknown (Hernia: 1)" in ended.err


def test_an_npz_with_a_pickle_is_never_loaded(cxrlt: Run, tmp_path: Path) -> None:
    write_tables(tmp_path)
    marker = tmp_path / "ran"

    class Harm:
        def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
            return (marker.touch, ())

    np.savez(tmp_path / "bad.npz", image_id=np.array(["a"]), scores=np.array([[Harm()]], dtype=object))
    refused(cxrlt, tmp_path, ["import", "bad.npz", *LABELS], ["the array 'scores' holds Python objects (a pickle)"])
    assert not marker.exists()


@pytest.mark.parametrize("left", [lambda whole: whole[: len(whole) // 2], lambda _: b"", lambda _: b"image_id,Mass\n"])
def test_a_damaged_npz_is_refused(cxrlt: Run, tmp_path: Path, left: Callable[[bytes], bytes]) -> None:
    write_tables(tmp_path)
    np.savez(tmp_path / "scores.npz", image_id=np.array(["a", "b"]), scores=np.eye(2))
    (tmp_path / "scores.npz").write_bytes(left((tmp_path / "scores.npz").read_bytes()))
    refused(cxrlt, tmp_path, ["import", "scores.npz", *LABELS], ["scores.npz is damaged"])
