"""`cxrlt demo`."""

from cxrlt_cli.config.demo import DemoConfig
from cxrlt_cli.workspace import Workspace


def demo(config: DemoConfig, workspace: Workspace) -> None:
    """Run every stage on made-up radiographs.

    A few minutes on two cores; nothing is downloaded. Every stage is the command that you would type for your own images,
    and is shown before it runs.
    """
    from cxrlt_cli.demo.run import run_demo

    run_demo(config, workspace)
