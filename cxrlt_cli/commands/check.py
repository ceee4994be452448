"""`cxrlt check`."""

from cxrlt_cli.config.check import CheckConfig
from cxrlt_cli.workspace import Workspace


def check(config: CheckConfig, workspace: Workspace) -> None:
    """Tell, before a job is submitted, what would stop it: to be run on a node like the job's.

    Looks at the files of the workspace and whether they go together, ImageNet weights, space, shared memory, cores, GPUs, locks
    of the file system and versions. Exit code 2 where something would stop a training, or where ImageNet weights are absent; a
    warning stops none.
    """
    from cxrlt_cli.cluster.check import check_machine

    check_machine(config, workspace)
