"""CSV files are read strictly: a damaged row is named, and none is lost."""

import csv
import gzip
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cxrlt_cli.artifacts.csv_rows import csv_rows
from cxrlt_cli.artifacts.failures import read_failures
from cxrlt_cli.config.train_grammar import parse_reweight
from cxrlt_cli.errors import UserError
from cxrlt_cli.sources.listing import read_text_table
from cxrlt_cli.text.label_texts import read_label_texts
from cxrlt_cli.train.class_weights import class_weights

HEADER = "class,weight,prompt,description"
ROWS = [f"Class {number},{number},a thing,It looks like one." for number in range(60)]


def _table(**changed: str) -> str:
    rows = list(ROWS)
    for place, text in changed.items():
        rows[int(place.removeprefix("row"))] = text
    return "\n".join([HEADER, *rows]) + "\n"


#: What is written, and how it is named. The header is row 1, so that rows[10] is row 12.
DAMAGED = {
    "a quote that opens a cell and nothing closes": (
        _table(row10='"Class 10,10,a thing,It looks like one.'), "row 12: a quote that is not closed",
    ),
    "two quotes 20 rows apart, both at the begin of a cell": (
        _table(row10='Class 10,10,"a thing,one.', row30='Class 30,30,"a thing,one.'), "row 12: a quote in the middle of a cell",
    ),
    "two quotes 20 rows apart, so that the cells are as many": (
        _table(row10='Class 10,10,"a thing,one.', row30='Class 30,30,a thing",one.'), "row 12: .* goes on to line 32",
    ),
    "two quotes in rows that follow": (
        _table(row10='Class 10,10,"a thing,one.', row11='Class 11,11,a thing",one.'), "row 12: .* goes on to line 13",
    ),
    "text behind a closed quote": (_table(row3='"Class 3"x,3,a thing,one.'), "row 5: a quote in the middle of a cell"),
    "an endless cell": (_table(row3=f"Class 3,3,a thing,{'x' * 140_000}"), "row 5: a cell of more than 131,072 characters"),
    "an endless cell in quotes": (
        HEADER + '\nA,1,"b\n' + "\n".join(ROWS * 200), "row 2: a cell of more than 131,072 characters",
    ),
    "too few cells": (_table(row7="Class 7,7,a thing"), "row 9: 3 cells where the header has 4"),
    "too many cells": (_table(row7="Class 7,7,a thing, or two,one."), "row 9: 5 cells where the header has 4"),
    "cut in the last row": (_table()[:-25], "row 61: 3 cells where the header has 4"),
    "a NUL": (_table(row5="Class\0 5,5,a thing,one."), "line 7: a NUL character"),
    "columns of one name": (HEADER.replace("weight", "class") + "\n" + "\n".join(ROWS), "two columns class"),
    "a row behind blank lines": ("\n\n" + _table(row7="Class 7,7"), r"row 11"),
}  # fmt: skip


def _weights(path: Path) -> object:
    return class_weights(parse_reweight(f"@{path}"), ["Class 1"], np.ones(1), np.ones(1), {})


@pytest.mark.parametrize("read", [read_text_table, read_label_texts, _weights, read_failures], ids=lambda read: read.__name__)
@pytest.mark.parametrize("what", DAMAGED)
def test_every_reader_names_a_damaged_row(what: str, read: Callable[[Path], object], tmp_path: Path) -> None:
    content, says = DAMAGED[what]
    for name, data in (("t.csv", content.encode()), ("t.csv.gz", gzip.compress(content.encode(), mtime=0))):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(UserError, match=says):
            read(tmp_path / name)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"a,b\n1,\xff\n", "not text in UTF-8"),
        ("a,b\n1,2\n".encode("utf-16"), "not text in UTF-8"),
        (gzip.compress(b"a,b\n1,2\n", mtime=0)[:-9], "cannot be read"),
        (gzip.compress(b"a,b\n1,2\n" * 90, mtime=0)[:12] + b"\xff\xff\xff\xff", "cannot be read"),
    ],
)
def test_what_is_no_text(content: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / ("t.csv.gz" if content[:2] == b"\x1f\x8b" else "t.csv")
    path.write_bytes(content)
    with pytest.raises(UserError, match=says):
        list(csv_rows(path))


def test_what_is_sound_is_read_as_it_was_written(tmp_path: Path) -> None:
    draws = np.random.default_rng(0)
    marks = list('ab,"\n é')
    rows = [["".join(draws.choice(marks, draws.integers(0, 8))) for _ in range(12)] for _ in range(300)]
    rows = [[cell.replace("\n,", "\n").replace(",\n", "\n") for cell in row] for row in rows]
    names = [f"c{number}" for number in range(12)]
    for ending in ("\n", "\r\n"):
        text = io.StringIO()
        csv.writer(text, lineterminator=ending).writerows([names, *rows])
        (tmp_path / "t.csv").write_text("\ufeff" + text.getvalue(), encoding="utf-8", newline="")
        assert [row.cells for row in csv_rows(tmp_path / "t.csv")] == [names, *rows]
        table = read_text_table(tmp_path / "t.csv")
        assert table.fillna("").to_numpy().tolist() == rows
        assert table.isna().to_numpy().sum() == sum(cell == "" for row in rows for cell in row)


def test_quotes_inside_of_cells_and_columns_without_a_name(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(',size,note,empty\n0,12" film,"said ""no""\nand left",\n1, ,NA,\n')
    table = read_text_table(tmp_path / "t.csv")
    assert list(table.columns) == ["Unnamed: 0", "size", "note", "empty"]
    assert table["size"].tolist() == ['12" film', " "]
    assert table["note"].tolist() == ['said "no"\nand left', "NA"]
    assert table["empty"].isna().all()
    assert table["empty"].str.strip().isna().all(), "a column of nothing is text all the same"
