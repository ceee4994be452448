"""`cxrlt join`."""

from cxrlt_cli.config.join import JoinConfig
from cxrlt_cli.workspace import Workspace


def join(config: JoinConfig, workspace: Workspace) -> None:
    """Join the shards of a cache that an array of jobs made.

    Writes images/NAME.h5 and images/NAME.parquet. The image file points to the shards, which stay beside it and are checked
    whenever it is opened; with --copy it holds the pixels itself, the same bytes as if one job had made it.
    """
    from cxrlt_cli.preprocess.join import join_shards

    join_shards(config, workspace)
