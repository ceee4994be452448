"""`cxrlt study`."""

from cxrlt_cli.config.study import StudyConfig
from cxrlt_cli.workspace import Workspace


def study(config: StudyConfig, workspace: Workspace) -> None:
    """Measure what a trick is worth: train variants over seeds, and compare them with intervals.

    Runs are trained under studies/, shared between studies, and those that are finished are not run again: the same command
    goes on where it was stopped. studies/NAME/ then holds table.csv, per_class.csv, study.json and figures: mAP by group,
    spread over seeds, paired differences to the first variant with intervals and p-values by a bootstrap over patients.
    """
    from cxrlt_cli.study.study import run_study

    run_study(config, workspace)
