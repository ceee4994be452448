"""`cxrlt slurm`."""

from cxrlt_cli.config.slurm import SlurmConfig
from cxrlt_cli.workspace import Workspace


def slurm(config: SlurmConfig, workspace: Workspace) -> None:
    """Write the whole pipeline as batch scripts for Slurm.

    A script for each stage, to be read and edited: an array that caches each source and the job that joins it, embed-labels,
    merge, train on one or more nodes, predict, evaluate; submit.sh chains them. Jobs that are preempted or run out of time are
    queued again and go on where they were.
    """
    from cxrlt_cli.cluster.slurm import write_scripts

    write_scripts(config, workspace)
