"""`cxrlt bench`."""

from cxrlt_cli.config.bench import BenchConfig
from cxrlt_cli.workspace import Workspace


def bench(config: BenchConfig, _workspace: Workspace) -> None:
    """Measure this machine: images/s of each part of training and prediction, beside what it could do at most.

    Reading, augmentation, forward, backward, a whole step, and prediction with 1 and 8 views, on made-up images in a
    temporary folder; what holds the others up, and how long an epoch takes.
    """
    from cxrlt_cli.bench.run import bench_machine

    bench_machine(config)
