"""`cxrlt report`."""

from cxrlt_cli.config.report import ReportConfig
from cxrlt_cli.workspace import Workspace


def report(config: ReportConfig, workspace: Workspace) -> None:
    """Write one self-contained HTML page about a run, and its figures as PNG and SVG.

    Of a run, the newest predictions of the test split are taken, else its scores of the validation split. The page opens from
    disk, needs no network, and holds pictures of patients unless --mistakes 0. Thresholds and subgroups are those of the
    evaluation that is named, or of the newest one of the same scores.
    """
    from cxrlt_cli.report.report import write_report

    write_report(config, workspace)
