"""`cxrlt compare`."""

from cxrlt_cli.config.compare import CompareConfig
from cxrlt_cli.workspace import Workspace


def compare(config: CompareConfig, workspace: Workspace) -> None:
    """Compare runs or predictions: paired differences of mAP and of each class's AP, with intervals and p-values.

    All score the same images, and each resample of the patients scores them all: the differences are paired. p-values of
    classes are corrected for their number (Holm). Only the options that differ are shown.
    """
    from cxrlt_cli.evaluate import compare as stage

    stage.compare(config, workspace)
