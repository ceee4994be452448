"""Options of `cxrlt join`."""

from dataclasses import dataclass

from cxrlt_cli.errors import UserError
from cxrlt_cli.options import flag
from cxrlt_cli.workspace import checked_name


@dataclass(frozen=True)
class JoinConfig:
    """Join the shards of a cache that an array of jobs made.

    Writes images/NAME.h5 and images/NAME.parquet. The image file points to the shards, which stay beside it and are checked
    whenever it is opened; with --copy it holds the pixels itself, the same bytes as if one job had made it.
    """

    name: str = flag("", "The cache, by its name under images/, whose shards are NAME.shard-*.h5.", argument=True)
    copy: bool = flag(False, "Copy the pixels, so that the shards are no longer needed.", name="--copy")
    overwrite: bool = flag(False, "Replace an existing cache.", name="--overwrite", free=True)

    def __post_init__(self) -> None:
        if not self.name:
            raise UserError("which cache?", "cxrlt join NAME joins images/NAME.shard-*.h5")
        checked_name(self.name)
