"""`cxrlt explain`."""

from cxrlt_cli.config.explain import ExplainConfig
from cxrlt_cli.workspace import Workspace


def explain(config: ExplainConfig, workspace: Workspace) -> None:
    """Show where each label's query looked in an image, and which part of it mattered.

    Draws a sheet an image to explanations/NAME/, over the radiograph as the network saw it, and keeps the maps in maps.parquet.
    Attention is where a query took its values from; whether they spoke for the label, Grad-CAM tells.
    """
    from cxrlt_cli.explain.explain import explain_images

    explain_images(config, workspace)
