"""`cxrlt cache`."""

from cxrlt_cli.config.cache import CacheConfig
from cxrlt_cli.workspace import Workspace


def cache(config: CacheConfig, workspace: Workspace) -> None:
    """Decode image files once, to gray squares in HDF5.

    Pixels go to images/NAME.h5, the source's own table to images/NAME.parquet. Images that cannot be read are listed in
    images/NAME.failed.csv with the reason; no other picture stands in for them.
    """
    from cxrlt_cli.preprocess.cache import cache_source

    cache_source(config, workspace)
