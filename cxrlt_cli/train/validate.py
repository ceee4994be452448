"""Validation: a pass over the validation split, each image once."""

from dataclasses import dataclass

import numpy as np
import torch

from cxrlt_cli.artifacts.dataset import Dataset
from cxrlt_cli.compute.distributed import Ranks
from cxrlt_cli.data.augment import plain_input
from cxrlt_cli.data.batches import Images, batches, pinned_for, rows_in_order
from cxrlt_cli.errors import UserError, listed
from cxrlt_cli.metrics.ranking import mean_of_defined, per_class
from cxrlt_cli.model.network import Network
from cxrlt_cli.signals import StopRequest
from cxrlt_cli.train.loop import Training
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


def validate(training: Training, network: Network, dataset: Dataset, images: Images, stop: StopRequest) -> Validation | None:
    """Scores a split with the network in evaluation mode; ranks take batches in turn. None if it was stopped.

    Raises:
        UserError: scores are not finite.
    """
    ranks, count = training.ranks, len(dataset.table)
    rows = rows_in_order(count, training.settings.batch_size)
    own = batches(dataset, images, rows[ranks.rank :: ranks.world_size], pinned_for(training.device))
    ranks.broadcast_weights(network)  # batch norm statistics differ between ranks
    network.eval()
    logits = np.zeros((count, len(dataset.classes)), dtype=np.float32)
    scored = np.zeros(count, dtype=np.int64)
    with torch.inference_mode():
        for _ in range(0, len(rows), ranks.world_size):
            if ranks.stop_requested(stop):
                return None
            batch = next(own, None)  # some ranks have none in the last round
            if batch is not None:
                inputs = plain_input(batch.to(training.device).images)
                logits[batch.rows] = network(inputs).float().cpu().numpy()
                scored[batch.rows] += 1
    if (ranks.all_reduce_sum(scored) != 1).any():
        raise RuntimeError("ranks did not score every image once")
    return _scores(ranks, dataset, ranks.all_reduce_sum(logits))


def _scores(ranks: Ranks, dataset: Dataset, logits: np.ndarray) -> Validation:
    bad = np.flatnonzero(~np.isfinite(logits).all(axis=1))
    if len(bad):
        names = listed(dataset.table["image_id"].iloc[bad])
        hint = "the training diverged: lower --lr, or --precision fp32"
        raise ranks.common_error(UserError(f"validation scores are not finite: {names}", hint))
    targets = torch.from_numpy(dataset.targets.astype(np.float32))
    loss = float(masked_mean(bce(torch.from_numpy(logits), targets), torch.from_numpy(dataset.label_mask)))
    ap = per_class(logits, dataset.targets, dataset.label_mask).ap
    return Validation(logits, loss, ap)
