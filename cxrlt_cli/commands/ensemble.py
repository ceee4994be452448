"""`cxrlt ensemble`."""

from cxrlt_cli.config.ensemble import EnsembleConfig
from cxrlt_cli.workspace import Workspace


def ensemble(config: EnsembleConfig, workspace: Workspace) -> None:
    """Merge predictions that exist, with equal, given or chosen weights.

    Nothing is scored anew. Members and weights go to ensembles/NAME.json, which `cxrlt predict --ensemble NAME` takes for any
    images; the merged scores go to predictions/NAME.parquet.
    """
    from cxrlt_cli.predict.ensemble import make_ensemble

    make_ensemble(config, workspace)
