"""Talk goes to stderr, data to stdout. A bar on a terminal, a dated line a minute where output is kept in a file.

Every text passes `escaped` on its way out: names of classes, images and files come from elsewhere, and must not move the cursor
of a terminal, reorder a line or begin a new one.
"""

import logging
import os
import sys
import time
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Protocol

from cxrlt_cli.errors import UserError

SECONDS_BETWEEN_LINES = 60.0


class _Voice:
    silent = False
    quiet = False


def only_errors(rank: int) -> None:
    """Of several processes that work together, rank 0 alone talks; the others tell of errors."""
    _Voice.silent = rank > 0


@contextmanager
def quiet() -> Iterator[None]:
    """While open, stages called from Python print no progress and no tables; warnings still go to stderr."""
    before, _Voice.quiet = _Voice.quiet, True
    try:
        yield
    finally:
        _Voice.quiet = before


#: Control, format, surrogate, line and paragraph separator characters; but joiners, which some scripts need to be readable.
_ESCAPED, _JOINERS = {"Cc", "Cf", "Cs", "Zl", "Zp"}, "\u200c\u200d"


def escaped(text: str, keep: str = "") -> str:
    r"""A text in which characters that move the cursor, begin a line, reorder text or are not seen are written as in `\x1b`.

    Args:
        text: any text.
        keep: characters that stay as they are.
    """
    if text.isprintable():
        return text
    kept = _JOINERS + keep
    return "".join(
        mark.encode("unicode_escape").decode() if mark not in kept and unicodedata.category(mark) in _ESCAPED else mark
        for mark in text
    )


def say(text: str) -> None:
    """One line to the reader."""
    if not _Voice.silent and not _Voice.quiet:
        complain(text)


def complain(text: str) -> None:
    """One line to the reader, from whichever process."""
    print(escaped(text), file=sys.stderr, flush=True)


def warn(text: str) -> None:
    """One line that the reader should not miss."""
    if not _Voice.silent:
        complain(f"warning: {text}")


def dated(text: str) -> str:
    """`text` behind the local time, as it stands in logs."""
    return f"{datetime.now().astimezone().isoformat(timespec='seconds')} {text}"


def data(text: str) -> None:
    """A result, for the eye or for the next program of a pipe: lines, whose parts `table` and `escaped` have made safe."""
    if _Voice.quiet:
        return
    try:
        print(escaped(text, keep="\n"), flush=True)
    except BrokenPipeError:  # `| head` has seen enough: the artifact is written all the same
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter fails at its end
        raise UserError(f"cannot write to standard output: {error.strerror}", "see where it is directed") from error


def confirmed(question: str) -> bool:
    """Asks on the terminal; only `y` or `yes` is a yes, so that the end of the input is a no."""
    print(f"{escaped(question)} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().casefold() in ("y", "yes")


class Progress(Protocol):
    """What a loop tells of itself."""

    def advance(self, count: int, note: str = "") -> None:
        """Counts `count` more units as done; `note` stands behind the count."""


class _Lines:
    def __init__(self, label: str, total: int, unit: str) -> None:
        self.label, self.total, self.unit = label, total, unit
        self.done, self.began = 0, time.monotonic()
        self.last = self.began

    def advance(self, count: int, note: str = "") -> None:
        self.done += count
        now = time.monotonic()
        if now - self.last >= SECONDS_BETWEEN_LINES:
            self.last = now
            say(dated(self._line(now, note)))

    def _line(self, now: float, note: str) -> str:
        rate = self.done / max(now - self.began, 1e-9)
        return f"{self.label}: {self.done}/{self.total} {self.unit}, {rate:.1f}/s{f', {note}' if note else ''}"


@contextmanager
def progress(label: str, total: int, unit: str = "images") -> Iterator[Progress]:
    """Shows how far a loop of `total` units is: a bar on a terminal, else a dated line a minute."""
    if _Voice.silent or _Voice.quiet or not sys.stderr.isatty():
        yield _Lines(label, total, unit)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, TextColumn("{task.fields[note]}"), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(escaped(label), total=total, note="")

        class _Bar:
            def advance(self, count: int, note: str = "") -> None:
                bar.update(task, advance=count, note=note)

        yield _Bar()


def shortened(rows: Sequence[Sequence[str]], where: str, most: int = 60) -> list[Sequence[str]]:
    """The rows of a table where they are at most `most`, else the first and the last, and between them how many more.

    Args:
        rows: of equal length.
        where: what shows them all.
        most: rows that are shown in full; every built-in label space has fewer.
    """
    if len(rows) <= most:
        return list(rows)
    half = most // 3
    more = [f"… {len(rows) - 2 * half} more, all in: {where}", *[""] * (len(rows[0]) - 1)]
    return [*rows[:half], more, *rows[-half:]]


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Aligned plain text: the first column to the left, the others to the right."""
    header, *rows = [[escaped(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]

    def line(row: Sequence[str]) -> str:
        first, *others = (
            cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        return "  ".join((first, *others)).rstrip()

    return "\n".join((line(header), line(["-" * w for w in widths]), *(line(row) for row in rows)))


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Silences transformers' progress bars and reports; what matters of them is checked by the caller."""
    from transformers.utils import logging as transformers_logging

    before = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity(logging.ERROR)
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    logging.getLogger("transformers").addHandler(logging.NullHandler())
    try:
        yield
    finally:
        transformers_logging.set_verbosity(before)
