"""`cxrlt merge`."""

from cxrlt_cli.config.merge import MergeConfig
from cxrlt_cli.workspace import Workspace


def merge(config: MergeConfig, workspace: Workspace) -> None:
    """Unite cached sources in one label space, and split them.

    dataset.parquet has one row an image. Labels are joined by name with synonyms. Official lists are kept; the other
    patients are split so that each class has its share in train, val and test as far as patients allow. No pixels are
    copied.
    """
    from cxrlt_cli.labels.merge import merge_sources

    merge_sources(config, workspace)
