"""What lies at a path and what lies below a folder: the one place that asks the file system."""

import errno
import os
import stat
import sys
import unicodedata
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from cxrlt_cli.errors import UserError, listed

#: The reason of `why_absent` for a path at which there is nothing.
MISSING = "missing"
#: How the names of image files end, in lower case.
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".dcm", ".dicom")
_ABSENT = (errno.ENOENT, errno.ENOTDIR)
_NO_NAME = (errno.ENAMETOOLONG, errno.EINVAL)  # nothing can have such a name
_MOST_NAMES = 10_000  # that are looked through in one folder


def why_absent(path: Path) -> str:
    """Why nothing can be read at a path: empty where something is there, MISSING, or the operating system's reason."""
    try:
        path.stat()
    except OSError as error:
        return MISSING if error.errno in _ABSENT else error.strerror or type(error).__name__
    except UnicodeEncodeError:
        return f"its name cannot be written in the encoding of the locale{_of_locale(path)}"
    except ValueError as error:  # a NUL
        return str(error)
    return ""


def _of_locale(path: Path) -> str:
    """What helps where names are not UTF-8 because of the locale; empty where the locale is not the reason."""
    encoding = sys.getfilesystemencoding()
    return "" if encoding == "utf-8" or str(path).isascii() else f" ({encoding}; PYTHONUTF8=1 makes it UTF-8)"


def exists(path: Path) -> bool:
    """Whether anything is there. Raises UserError where the operating system does not let us look."""
    return _mode(path) is not None


def is_file(path: Path) -> bool:
    """Whether a regular file is there. Raises UserError where the operating system does not let us look."""
    mode = _mode(path)
    return mode is not None and stat.S_ISREG(mode)


def is_folder(path: Path) -> bool:
    """Whether a folder is there. Raises UserError where the operating system does not let us look."""
    mode = _mode(path)
    return mode is not None and stat.S_ISDIR(mode)


def kind_of(path: Path) -> str:
    """What is there: `a file`, `a folder`, `a pipe`, `a socket` or `a device`; empty where nothing is. Raises as `exists`."""
    kinds = {stat.S_IFREG: "a file", stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    mode = _mode(path)
    return "" if mode is None else kinds.get(stat.S_IFMT(mode), "a device")


def refuse_no_file(path: Path, hint: str) -> None:
    """Raises UserError where something other than a file is there: a pipe would be waited for, for ever, a device never end."""
    kind = kind_of(path)
    if kind not in ("", "a file"):
        raise UserError(f"{path} is {kind}, not a file", hint)


def _mode(path: Path) -> int | None:
    try:
        return path.stat().st_mode
    except ValueError:  # a NUL
        return None
    except OSError as error:
        if error.errno in (*_ABSENT, *_NO_NAME):
            return None
        raise UserError(f"{path} cannot be looked at: {error.strerror}", "see the permissions of its folders") from error


def children(folder: Path) -> list[Path]:
    """What lies in a folder, by name. Raises UserError where it is not there or cannot be read."""
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise UserError(f"{folder} cannot be read: {error.strerror}", "see its name and its permissions") from error


def _names_in(folder: Path) -> list[str]:
    """Sorted; of a very large folder some."""
    return sorted(entry.name for entry, _ in zip(os.scandir(folder), range(_MOST_NAMES), strict=False))


def contents(folder: Path) -> str:
    """The first names in a folder, for messages: what is there instead of what was looked for."""
    try:
        names = _names_in(folder)
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return f"has {listed(map(repr, names), 3)}" if names else "is empty"


@dataclass
class FolderListing:
    """The files below a folder.

    Attributes:
        files: in the order of their paths.
        skipped: reason -> skipped paths, relative to the folder.
    """

    files: list[Path] = field(default_factory=list)
    skipped: dict[str, list[str]] = field(default_factory=dict)

    def skip(self, name: str, reason: str) -> None:
        """Records a skipped path with the reason."""
        self.skipped.setdefault(reason, []).append(name)


def list_folder(folder: Path) -> FolderListing:
    """Lists every file below a folder. Links are followed, and no folder is entered twice; hidden names are skipped.

    Raises:
        UserError: the folder itself is not there or cannot be entered.
    """
    if not is_folder(folder):
        raise UserError(f"{folder} is not a folder", "see whether its name is right and it is mounted")
    listing = FolderListing()
    folders, links = deque([folder]), deque[Path]()  # what is no link first: its own path is the name of a file
    entered: set[tuple[int, int]] = set()
    while folders or links:
        here = folders.popleft() if folders else links.popleft()
        name = here.relative_to(folder).as_posix() + "/"
        try:
            status = here.stat()
            if (status.st_dev, status.st_ino) in entered:
                listing.skip(name, "a link to a folder that is read already")
                continue
            entered.add((status.st_dev, status.st_ino))
            entries = sorted(os.scandir(here), key=lambda entry: entry.name)
        except OSError as error:
            if here == folder:
                raise UserError(f"{folder} cannot be read: {error.strerror}", "see its permissions") from error
            listing.skip(name, error.strerror or type(error).__name__)
            continue
        for entry in entries:
            _sort_in(entry, Path(entry.path), folder, listing, (folders, links))
    listing.files.sort()
    return listing


def _sort_in(
    entry: "os.DirEntry[str]", path: Path, folder: Path, listing: FolderListing, queues: tuple[deque[Path], deque[Path]]
) -> None:
    name = path.relative_to(folder).as_posix()
    try:
        if entry.name.startswith("."):
            listing.skip(name, "hidden")
        elif entry.is_dir():
            queues[entry.is_symlink()].append(path)
        elif entry.is_file():
            listing.files.append(path)
        else:
            listing.skip(name, "a broken link" if entry.is_symlink() else "neither a file nor a folder")
    except OSError as error:  # as of links in a circle
        listing.skip(name, error.strerror or type(error).__name__)


def refuse_names_not_utf8(names: Iterable[str], where: Path) -> None:
    """Raises UserError where file names are not UTF-8: they are ids, and no table can hold them."""
    odd = [ascii(name) for name in names if not _is_utf8(name)]
    if odd:
        raise UserError(
            f"{len(odd)} file names below {where} are not UTF-8: {listed(odd, 3)}",
            "rename them (as with: convmv -r -f latin1 -t utf8 --notest FOLDER)",
        )


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def refuse_not_utf8(flag: str, value: object) -> None:
    """Raises UserError where what was typed is not UTF-8: it is recorded in every artifact."""
    if not _is_utf8(str(value)):
        raise UserError(f"{flag} {str(value)!a} is not UTF-8", "rename it, or make a link to it with a plain name")


def what_is_near(path: Path) -> str:
    """What lies where a path should be: names like it (another suffix, case or blanks), else the first names there are."""
    folder = path
    while folder != folder.parent and why_absent(folder):
        wanted, folder = folder.name, folder.parent
    if folder == path:
        return f"{path} is there"
    try:
        names = _names_in(folder)
    except OSError as error:
        return f"{folder} cannot be read: {error.strerror}"
    like = [name for name in names if _key(name) == _key(wanted)] or [
        name for name in names if _key(Path(name).stem) in (_key(wanted), _key(Path(wanted).stem))
    ]
    slash = "; it is written with \\ where this machine has /" if "\\" in wanted else ""
    there = listed(map(repr, like or names), 3) if names else "nothing in it"
    return f"{folder} has {there}{' instead of' if like else ', not'} {wanted!r}{slash}{_of_locale(path)}"


def _key(name: str) -> str:
    """The same for names that differ in case, blanks at their ends or the form of their letters."""
    return unicodedata.normalize("NFKC", name).casefold().strip()
