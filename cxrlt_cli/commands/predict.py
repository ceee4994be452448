"""`cxrlt predict`."""

from cxrlt_cli.config.predict import PredictConfig
from cxrlt_cli.workspace import Workspace


def predict(config: PredictConfig, workspace: Workspace) -> None:
    """Score images with one run or an ensemble.

    A split, or a folder of new images, to predictions/NAME.parquet: a logit a class. Each image is read once; every view of
    it is made from the pixels in memory and scored by every run.
    """
    from cxrlt_cli.predict.predict import predict_images

    predict_images(config, workspace)
