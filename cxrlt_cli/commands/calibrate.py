"""`cxrlt calibrate`."""

from cxrlt_cli.config.calibrate import CalibrateConfig
from cxrlt_cli.workspace import Workspace


def calibrate(config: CalibrateConfig, workspace: Workspace) -> None:
    """Learn from validation how to make probabilities true; `predict --calibrate` applies it.

    Each class on its own, over the images whose label of it is known. The order of images, and with it AP and AUROC, stays
    as it is.
    """
    from cxrlt_cli.evaluate import calibrate as stage

    stage.calibrate(config, workspace)
