"""The texts that are encoded for each label: data that a user can replace by a file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cxrlt_cli.artifacts.csv_rows import CsvRow, csv_rows
from cxrlt_cli.console import warn
from cxrlt_cli.errors import UserError, listed
from cxrlt_cli.labels.spaces import canonical

BUILT_IN = Path(__file__).with_name("label_texts.csv")
_COLUMNS = ("class", "prompt", "description")

Use = Literal["both", "prompt", "description"]


@dataclass(frozen=True)
class LabelText:
    """A class's prompt (a noun phrase) and description (a sentence on how it looks)."""

    name: str
    prompt: str
    description: str

    def text(self, use: Use) -> str:
        """The text to encode: the prompt, the description, or `prompt. description`; without a description, the prompt."""
        if not self.description:
            return self.prompt
        return f"{self.prompt}. {self.description}" if use == "both" else getattr(self, use)


def read_label_texts(path: Path) -> list[LabelText]:
    """Reads a CSV with the columns class, prompt and description.

    Raises:
        UserError: not there, damaged (`artifacts.csv_rows`), a column lacking, an empty cell, or a class twice.
    """
    hint = f"a CSV in UTF-8 with the columns {','.join(_COLUMNS)}, a row a class"
    rows = csv_rows(path, hint)
    header = next(rows, CsvRow([], 0, 0)).cells
    absent = [name for name in _COLUMNS if name not in header]
    if absent:
        raise UserError(f"{path} has no column {listed(absent)}", hint)
    texts = [_row(path, row, [header.index(name) for name in _COLUMNS]) for row in rows]
    names = [text.name for text in texts]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or not names:
        raise UserError(f"{path} {'lists ' + listed(twice) + ' twice' if twice else 'has no rows'}", hint)
    return texts


def _row(path: Path, row: CsvRow, columns: list[int]) -> LabelText:
    values = [row.cells[column].strip() for column in columns]
    if not all(values):
        raise UserError(f"{path}, line {row.line}: an empty cell", "each class has a prompt and a description")
    return LabelText(*values)


def texts_for(classes: list[str], texts: list[LabelText], path: Path) -> list[LabelText]:
    """The text of each class, found by its name or a synonym.

    A class without a text among the built-in ones gets its name as prompt; a warning names these.

    Args:
        classes: class names.
        texts: the texts of `path`.
        path: where they are from.

    Raises:
        UserError: a class has no text in a file of the user.
    """
    own = {text.name: text for text in texts}
    same = {canonical(text.name): text for text in texts}
    absent = [name for name in classes if name not in own and canonical(name) not in same]
    if absent and path != BUILT_IN:
        raise UserError(f"{path} has no text for {listed(absent)}", "add a row for each of them to the file of --texts")
    if absent:
        warn(
            f"{len(absent)} classes have no built-in text, their names are encoded: {listed(absent, 20)}; "
            f"--texts FILE gives texts (a CSV with the columns {','.join(_COLUMNS)})"
        )
    named = {name: LabelText(name, name.replace("_", " "), "") for name in absent}
    return [own.get(name) or same.get(canonical(name)) or named[name] for name in classes]
