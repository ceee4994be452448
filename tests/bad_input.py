"""Bad input as users bring it: what they type, and the files that they bring. It ends in one message and exit code 2."""

import shlex
import stat
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from processes import Ended

#: What a file of a case is: its text, its bytes, or what makes it; None for a folder.
Content = str | bytes | Callable[[Path], object] | None
Run = Callable[..., Ended]


@dataclass(frozen=True)
class Bad:
    """One bad input.

    Attributes:
        name: of the case.
        typed: the command line after `cxrlt`.
        says: what the message says.
        files: name -> content of the files in the current folder.
    """

    name: str
    typed: str
    says: str
    files: Mapping[str, Content] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name

    def check(self, cxrlt: Run, folder: Path, workspace: Path) -> None:
        """Brings the files to `folder`, types the command: one message, exit code 2, and every file is as it was.

        Args:
            cxrlt: runs a command in `folder`.
            folder: the current folder.
            workspace: the one that is used, unless the command names another.
        """
        for name, content in self.files.items():
            bring(folder / name, content)
        words = shlex.split(self.typed)
        before = state(folder), state(workspace)
        with warnings.catch_warnings(record=True) as remarks:  # Python would print them to stderr
            warnings.simplefilter("always")
            ended = cxrlt(*words, *([] if "--workspace" in words else ["--workspace", workspace]))
        after = state(folder), state(workspace)
        for left in set(after[1]) - set(before[1]):  # that the next cases fail or pass by themselves
            Path(left).unlink()
        assert ended.code == 2, ended
        message = the_message(ended.err)
        assert self.says in message, message
        assert after == before
        shown = [remark for remark in remarks if issubclass(remark.category, UserWarning | RuntimeWarning)]
        assert not shown, shown[0].message


def bring(path: Path, content: Content) -> None:
    """Makes one file of a case."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if content is None:
        path.mkdir()
    elif isinstance(content, str):
        path.write_text(content, encoding="utf-8", newline="")
    elif isinstance(content, bytes):
        path.write_bytes(content)
    else:
        content(path)


def the_message(err: str) -> str:
    """The one message with which a command ends: an error, and what to do about it; or the parser's. Progress may precede it.

    Raises:
        AssertionError: there is no message, more than one, or anything after it.
    """
    lines = [line for line in err.splitlines() if line]
    starts = [line.split(" ", 1)[0] for line in lines]
    if "error:" not in starts and "Error:" in starts:
        assert starts in (["Usage:", "Try", "Error:"], ["Error:"]), err
        return lines[-1]
    assert "Traceback" not in starts, err
    place = starts.index("error:") if "error:" in starts else len(starts)
    assert starts[place:] in (["error:"], ["error:", "hint:"]), err
    return "\n".join(lines[place:])


def state(folder: Path) -> dict[str, tuple[int, int, int]]:
    """The files in a folder: path -> inode, size and time of change, links not followed. An empty folder is no artifact."""
    statuses = {str(path): path.lstat() for path in sorted(folder.rglob("*"))}
    return {
        path: (status.st_ino, status.st_size, status.st_mtime_ns)
        for path, status in statuses.items()
        if not stat.S_ISDIR(status.st_mode)
    }


def of_stage(stage: str, rows: Iterable[tuple[str, str, str] | tuple[str, str, str, Mapping[str, Content]]]) -> list[Bad]:
    """Cases of one stage: (name, what is typed after the stage, what the message says, files)."""
    return [
        Bad(f"{stage}: {name}", f"{stage} {typed}", says, *files)  # type: ignore[arg-type]
        for name, typed, says, *files in rows
    ]
