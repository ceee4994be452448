"""Which data something was made from: marked in a source's table, carried to datasets, runs, predictions and packs.

A network trained on images that were given out under an agreement is shared under the same agreement. PhysioNet asks to treat
models derived from credentialed data as sensitive.
"""

from dataclasses import dataclass

#: Kind of the phantoms of `cxrlt demo`, in whichever layout they are written, and the file that marks their folder.
PHANTOMS, PHANTOMS_MARK = "phantoms", "PHANTOMS.txt"
#: Key of the sources in the metadata of a pack's safetensors.
DATA_SOURCES = "cxrlt.data_sources"


@dataclass(frozen=True, order=True)
class DataSource:
    """A source of images or labels.

    Attributes:
        kind: the published layout it was read as (`chestxray14`, `table` …), or `phantoms`. The terms are in `sources.terms`.
        agreement: under which the images of a user's own table were given out; empty where none was named.
    """

    kind: str
    agreement: str = ""


def joined_sources(*parts: list[DataSource] | None) -> list[DataSource] | None:
    """All sources of the parts that something was made from; None where one of them does not record its sources."""
    if any(part is None for part in parts):
        return None
    return sorted({source for part in parts for source in part or ()})
