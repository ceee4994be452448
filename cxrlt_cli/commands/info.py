"""`cxrlt info`."""

from cxrlt_cli.config.info import InfoConfig
from cxrlt_cli.workspace import Workspace


def info(config: InfoConfig, workspace: Workspace) -> None:
    """Tell what an artifact is: its main figures, and what made it.

    Of a dataset: images, patients and positives by source and split, unknown labels, which labels come together. Of images: how
    many are done, how they were made, their gray values.
    """
    from cxrlt_cli.info.info import tell

    tell(config, workspace)
