"""The scores of a file: a row per image, numbers in columns."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from cxrlt_cli.errors import UserError
from cxrlt_cli.import_scores.foreign_table import ROW_NUMBER, read_foreign_table, require_id
from cxrlt_cli.sources.image_rows import first_rows

_NULLS = ("", "nan", "na", "n/a", "null", "none")


@dataclass(frozen=True)
class ScoreTable:
    """Rows of images as the file has them.

    Attributes:
        path: the file.
        table: its columns, numbers or text.
        id_column: the column of the image id.
    """

    path: Path
    table: pd.DataFrame
    id_column: str

    @property
    def ids(self) -> pd.Series:
        """(N,) image ids, as text."""
        return self.table[self.id_column].astype(str)

    @property
    def names(self) -> list[str]:
        """The columns that may hold scores."""
        return [str(name) for name in self.table.columns if name != self.id_column]

    def rows(self, keep: np.ndarray) -> "ScoreTable":
        """The rows of an (N,) bool mask."""
        return ScoreTable(self.path, self.table[keep].reset_index(drop=True), self.id_column)


def read_score_table(path: Path, id_column: str) -> ScoreTable:
    """Reads a CSV (also .gz), a Parquet or an npz file.

    Raises:
        UserError: not there, damaged, without rows, without the id column, or an id that is blank.
    """
    table = with_ids(read_foreign_table(path), id_column)
    require_id(table, id_column, path, "--id-column")
    return ScoreTable(path, table, id_column)


def with_ids(table: pd.DataFrame, id_column: str) -> pd.DataFrame:
    """The table; with a column of row numbers where these are the ids."""
    return table.assign(**{ROW_NUMBER: np.arange(len(table))}) if id_column == ROW_NUMBER else table


def scored_rows(scores: ScoreTable, columns: list[str]) -> ScoreTable:
    """One row per image; repeated rows are left out, with a message.

    Raises:
        UserError: an image has two rows with different scores.
    """
    return scores.rows(first_rows(scores.table, scores.id_column, columns, scores.path))


def numbers_of(scores: ScoreTable, columns: list[str]) -> np.ndarray:
    """(N, C) float64 of columns, NaN where a cell is blank.

    Raises:
        UserError: a cell that is no number; column, image and value are named.
    """
    values = np.empty((len(scores.table), len(columns)))
    for index, name in enumerate(columns):
        column = scores.table[name]
        if pd.api.types.is_numeric_dtype(column):
            values[:, index] = column.to_numpy(dtype=np.float64, na_value=np.nan)
        else:
            values[:, index] = _parsed(column, scores)
    return values


def _parsed(column: pd.Series, scores: ScoreTable) -> np.ndarray:
    """(N,) float64 of a column of text, by Python's float: correctly rounded, which pandas' faster parser is not."""
    texts = column.fillna("").astype(str).str.strip()
    texts = texts.where(~texts.str.casefold().isin(_NULLS), "nan")
    try:
        return np.array([float(text) for text in texts])
    except ValueError:
        row = next(row for row, text in enumerate(texts) if not _is_number(text))
        raise UserError(
            f"{scores.path}, column {column.name!r}, {scores.ids.iloc[row]}: {texts.iloc[row]!r} is not a number",
            "scores are numbers with a decimal point; which columns are scores? --columns",
        ) from None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
