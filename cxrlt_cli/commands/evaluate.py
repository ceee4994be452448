"""`cxrlt evaluate`."""

from cxrlt_cli.config.evaluate import EvaluateConfig
from cxrlt_cli.workspace import Workspace


def evaluate(config: EvaluateConfig, workspace: Workspace) -> None:
    """Score predictions: each class's AP and AUROC, and mAP.

    Average precision and AUROC of each class as scikit-learn defines them, their means over all classes and over head,
    medium and tail. Unknown labels are left out class by class; a class without a positive is undefined, left out of the
    means, and named. Images and classes are joined by name.
    """
    from cxrlt_cli.evaluate import evaluate as stage

    stage.evaluate(config, workspace)
