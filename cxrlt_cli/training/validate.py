"""Validation: a pass over the validation split, each image once."""

from dataclasses import dataclass

import numpy as np
import torch

from cxrlt_cli.artifacts.dataset import Dataset
from cxrlt_cli.data.augment import normalise, to_unit
from cxrlt_cli.data.batches import batches, rows_in_order
from cxrlt_cli.data.images import DatasetImages
from cxrlt_cli.errors import UserError, listed
from cxrlt_cli.metrics.ranking import mean_of_defined, per_class
from cxrlt_cli.model.network import Network
from cxrlt_cli.tricks.bce import bce
from cxrlt_cli.tricks.masked_mean import masked_mean


@dataclass(frozen=True)
class Validation:
    """Scores of the validation split.

    Attributes:
        logits: (N, C) float32.
        loss: mean cross-entropy, without class weights.
        ap: (C,) AP, NaN for a class without positives.
    """

    logits: np.ndarray
    loss: float
    ap: np.ndarray

    @property
    def mean_ap(self) -> float:
        """Mean over the classes that have an AP."""
        return mean_of_defined(self.ap)


def validate(network: Network, dataset: Dataset, images: DatasetImages, batch_size: int, device: torch.device) -> Validation:
    """Scores a split with a network in evaluation form. Raises UserError where scores are not finite."""
    network.eval()
    logits = np.empty((len(dataset.table), len(dataset.classes)), dtype=np.float32)
    with torch.inference_mode():
        for batch in batches(dataset, images, rows_in_order(len(dataset.table), batch_size)):
            inputs = normalise(to_unit(batch.to(device).images))
            logits[batch.rows] = network(inputs).float().cpu().numpy()
    bad = np.flatnonzero(~np.isfinite(logits).all(axis=1))
    if len(bad):
        names = listed(dataset.table["image_id"].iloc[bad])
        raise UserError(f"validation scores are not finite: {names}", "the training diverged: lower --lr, or --precision fp32")
    targets = torch.from_numpy(dataset.targets.astype(np.float32))
    loss = float(masked_mean(bce(torch.from_numpy(logits), targets), torch.from_numpy(dataset.known)))
    ap = per_class(logits, dataset.targets, dataset.known).ap
    return Validation(logits, loss, ap)
