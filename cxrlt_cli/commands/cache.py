"""`cxrlt cache`."""

from cxrlt_cli.config.cache import CacheConfig
from cxrlt_cli.workspace import Workspace


def cache(config: CacheConfig, workspace: Workspace) -> None:
    """Read a source's image files once and keep them as gray squares in images/NAME.h5, with its table beside.

    Images that cannot be read are listed in images/NAME.failed.csv with the reason; no other picture stands in for them.
    """
    from cxrlt_cli.pixels.cache import cache_source

    cache_source(config, workspace)
