"""`cxrlt fetch`."""

from cxrlt_cli.config.fetch import FetchConfig
from cxrlt_cli.workspace import Workspace


def fetch(config: FetchConfig, workspace: Workspace) -> None:  # noqa: ARG001 - caches are the user's, not the workspace's
    """Download encoders and weights, where there is internet.

    Every other command works offline. Files go to the caches of Hugging Face (moved by HF_HOME) and torch (moved by
    TORCH_HOME), where compute nodes read them.
    """
    from cxrlt_cli.text.fetch import fetch_files

    fetch_files(config)
