"""Messages about image files: why one cannot be read, and what may be wrong with its gray values."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

from cxrlt_cli.console import warn

#: The option that spreads the gray values of every image over the whole range.
SPREAD = "cxrlt cache --window 0,100"


class UnreadableImageError(Exception):
    """An image file that cannot be turned into gray values; the message is the reason."""


class Remark(Enum):
    """A kind of warning: the text that follows "N images: "."""

    VOI_IGNORED = "a window or VOI LUT in the DICOM header is invalid or leaves a single gray value, and was not applied"
    NARROW_16_BIT = (
        "a 16-bit PNG with values of at most 14 bit, and no sBIT chunk that says how many, comes out nearly black; "
        f"{SPREAD} spreads the gray values of each picture"
    )
    FEW_LEVELS = (
        f"nearly all gray levels of the file are lost; look at the picture, and at {SPREAD}, which spreads what is left"
    )


@dataclass
class RemarkCounts:
    """Counts remarks over many files, and keeps the first file of each kind.

    Attributes:
        counts: remark -> number of files.
        first: remark -> the first of them.
    """

    counts: dict[Remark, int] = field(default_factory=dict)
    first: dict[Remark, str] = field(default_factory=dict)

    def add(self, file: str, remarks: Iterable[Remark]) -> None:
        """Adds the remarks about one file."""
        for remark in remarks:
            self.counts[remark] = self.counts.get(remark, 0) + 1
            self.first.setdefault(remark, file)

    def report(self) -> None:
        """Prints one warning per kind of remark: the number of images, the first one, and the remedy."""
        for remark, count in self.counts.items():
            warn(f"{count} {'image' if count == 1 else 'images'}, the first {self.first[remark]}: {remark.value}")
