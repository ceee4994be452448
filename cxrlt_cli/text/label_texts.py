"""The texts that are encoded for each label: data that a user can replace by a file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cxrlt_cli.artifacts.csv_rows import CsvRow, csv_rows
from cxrlt_cli.console import warn
from cxrlt_cli.errors import UserError, listed
from cxrlt_cli.labels.spaces import canonical

BUILT_IN = Path(__file__).with_name("label_texts.csv")
_COLUMNS = ("class", "prompt")  # and description, which may be absent

Use = Literal["both", "prompt", "description"]


@dataclass(frozen=True)
class LabelText:
    """A class's prompt (a noun phrase) and description (a sentence on how it looks; may be empty)."""

    name: str
    prompt: str
    description: str

    def text(self, use: Use) -> str:
        """The text to encode: the prompt, the description, or `prompt. description`; without a description, the prompt."""
        if not self.description:
            return self.prompt
        return f"{self.prompt}. {self.description}" if use == "both" else getattr(self, use)


def read_label_texts(path: Path) -> list[LabelText]:
    """Reads a CSV with the columns class, prompt and, optionally, description; a class may have several rows.

    Raises:
        UserError: not there, damaged (`artifacts.csv_rows`), a column lacking, an empty cell, or a text of a class twice.
    """
    hint = "a CSV in UTF-8 with the columns class,prompt and, optionally, description; several texts of a class: a row each"
    rows = csv_rows(path, hint)
    header = next(rows, CsvRow([], 0, 0)).cells
    absent = [name for name in _COLUMNS if name not in header]
    if absent:
        raise UserError(f"{path} has no column {listed(absent)}", hint)
    there = [header.index(name) for name in (*_COLUMNS, "description") if name in header]
    texts = [_row(path, row, there) for row in rows]
    if not texts:
        raise UserError(f"{path} has no rows", hint)
    twice = [text for number, text in enumerate(texts) if text in texts[:number]]
    if twice:
        raise UserError(
            f"{path} lists the same text of {listed({text.name for text in twice})} twice", "delete one of the rows"
        )
    return texts


def _row(path: Path, row: CsvRow, columns: list[int]) -> LabelText:
    values = [row.cells[column].strip() for column in columns]
    if not all(values):
        raise UserError(f"{path}, line {row.line}: an empty cell", "write a text in every cell, or delete the row")
    return LabelText(values[0], values[1], values[2] if len(values) > len(_COLUMNS) else "")


def texts_for(classes: list[str], texts: list[LabelText], path: Path) -> list[list[LabelText]]:
    """The texts of each class, found by its name or a synonym.

    A class without a text among the built-in ones gets its name as prompt; a warning names these.

    Args:
        classes: class names.
        texts: the texts of `path`.
        path: where they are from.

    Raises:
        UserError: a class has no text in a file of the user.
    """
    own: dict[str, list[LabelText]] = {}
    for text in texts:
        own.setdefault(text.name, []).append(text)
    same = {canonical(name): found for name, found in own.items()}
    absent = [name for name in classes if canonical(name) not in same]
    if absent and path != BUILT_IN:
        raise UserError(f"{path} has no text for {listed(absent)}", "add a row for each of them to the file of --texts")
    if absent:
        warn(
            f"{len(absent)} classes have no built-in text, their names are encoded: {listed(absent, 20)}; "
            "--texts FILE gives texts (a CSV with the columns class,prompt,description)"
        )
    named = {name: [LabelText(name, name.replace("_", " "), "")] for name in absent}
    return [own.get(name) or same.get(canonical(name)) or named[name] for name in classes]
