"""What a command may end with, other than success. Everything else that escapes is a defect of ours."""

import errno
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches

USAGE = 2
STOPPED_BY_SIGUSR1 = 75  # EX_TEMPFAIL: state is saved, run the same command again
STOPPED_BY_SIGTERM = 143
INTERRUPTED = 130  # SIGINT, as Ctrl-C sends it


class UserError(Exception):
    """Wrong usage or input. `message` says what and where, `hint` the next thing to do or type."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Stopped(Exception):
    """Work was stopped by a signal after its state was saved; `code` is the process's exit code."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


def listed(names: Iterable[object], most: int = 5) -> str:
    """The first `most` of some names as text, with how many more there are."""
    rows = [str(name) for name in names]
    more = f" and {len(rows) - most} more" if len(rows) > most else ""
    return ", ".join(rows[:most]) + more


def reason(error: BaseException) -> str:
    """The first line of what an error says, or its kind where it says nothing."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def closest(name: str, known: Iterable[object]) -> str:
    """The known name closest to a mistyped one, empty if none is close."""
    names = {str(k).casefold(): str(k) for k in reversed(list(known))}  # of two spellings the first
    close = get_close_matches(name.casefold(), list(names), n=1, cutoff=0.6)
    return names[close[0]] if close else ""


def nearest(name: str, known: Iterable[object]) -> str:
    """`; nearest is X` for a mistyped name, empty if no known name is close."""
    close = closest(name, known)
    return f"; nearest is {close!r}" if close else ""


_HINTS = {
    errno.ENOENT: "see whether the path is right",
    errno.EACCES: "give yourself the right to read and write it, or name another path",
    errno.EPERM: "give yourself the right to read and write it, or name another path",
    errno.EROFS: "its file system cannot be written to: name another path",
    errno.ENOSPC: "free space, or name a folder elsewhere",
    errno.EDQUOT: "your quota is used up: free space, or name a folder elsewhere",
    errno.EFBIG: "files may be no larger here: raise the limit (ulimit -f), or name a folder elsewhere",
    errno.EMFILE: "too many files are open: raise the limit (ulimit -n)",
    errno.ENAMETOOLONG: "the path is too long: name a shorter one",
    errno.EIO: "the disk or the network fails: try again, and ask who runs the machine",
}


def os_hint(error: OSError) -> str:
    """What to do about a refusal of the operating system."""
    other = "check that the folder exists, may be written to and has space left; or name another one"
    return _HINTS.get(error.errno or 0, other)


@contextmanager
def reported_os_errors(doing: str) -> Iterator[None]:
    """Turns the operating system's refusals (read-only, full, not there, not allowed) into a UserError."""
    try:
        yield
    except OSError as error:
        where = error.filename or ""
        raise UserError(f"{doing}: {error.strerror or error}{f' ({where})' if where else ''}", os_hint(error)) from error
