"""Options of `cxrlt join`."""

from dataclasses import dataclass

from cxrlt_cli.errors import UserError
from cxrlt_cli.options import flag
from cxrlt_cli.workspace import checked_name


@dataclass(frozen=True)
class JoinConfig:
    """Join the shards that an array of cache or features jobs made.

    Writes images/NAME.h5 and images/NAME.parquet. NAME.h5 refers to the shards, which must stay next to it; with --copy it
    contains the pixels itself, byte for byte as one job would have written them.
    """

    name: str = flag("", "Name of the cache; its shards are images/NAME.shard-*.h5.", argument=True)
    features: bool = flag(False, "Join feature maps instead: features/NAME.shard-*.h5.", name="--features")
    copy: bool = flag(False, "Copy the pixels, so that the shards can be deleted.", name="--copy")
    overwrite: bool = flag(False, "Replace an existing cache.", name="--overwrite", free=True)

    def __post_init__(self) -> None:
        if not self.name:
            raise UserError("missing argument NAME", "cxrlt join NAME joins images/NAME.shard-*.h5")
        checked_name(self.name)
