"""`cxrlt fuse`."""

from cxrlt_cli.config.fuse import FuseConfig
from cxrlt_cli.workspace import Workspace


def fuse(config: FuseConfig, workspace: Workspace) -> None:
    """Learn how a study's images go together, on a finished run.

    The run's network stays as it is and gives each image's label features; attention over the images of a study, and the
    classifiers behind it, are trained. The result is a run of its own, which `cxrlt predict` takes as any other: every image
    gets the score of its study.
    """
    from cxrlt_cli.train.fuse import fuse_run

    fuse_run(config, workspace)
