"""Training of a study fusion on precomputed label features."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cxrlt_cli.artifacts.dataset import Dataset
from cxrlt_cli.console import say
from cxrlt_cli.data.rng import permutation
from cxrlt_cli.data.studies import local_codes, rows_by_study
from cxrlt_cli.errors import UserError
from cxrlt_cli.metrics.ranking import mean_of_defined, per_class
from cxrlt_cli.model.study_fusion import StudyFusion
from cxrlt_cli.train.adamw import AdamW
from cxrlt_cli.train.lr_schedule import lr_at
from cxrlt_cli.train.settings import FuseSettings
from cxrlt_cli.tricks.bce import bce
from cxrlt_cli.tricks.masked_mean import masked_mean


@dataclass(frozen=True)
class FeaturedSplit:
    """A split with its label features (N, C, width) float32 in an unnamed file, and the study of each image."""

    dataset: Dataset
    features: np.ndarray
    codes: np.ndarray

    def batch(self, rows: np.ndarray, device: torch.device) -> tuple[Tensor, Tensor]:
        """Features and studies, numbered from 0, of some rows."""
        features, codes = torch.from_numpy(self.features[rows]), torch.from_numpy(local_codes(self.codes[rows]))
        return features.to(device), codes.to(device)


@dataclass
class Trained:
    """The best epoch so far (0 is before the first step), its weights and validation scores, and the metrics of all epochs."""

    epoch: int
    weights: dict[str, Tensor]
    logits: np.ndarray
    history: list[dict[str, Any]]


def train_fusion(settings: FuseSettings, fusion: StudyFusion, train: FeaturedSplit, val: FeaturedSplit) -> Trained:
    """Trains, and keeps the epoch with the highest validation mAP; epoch 0 is the mean of the label features."""
    optimizer = AdamW(fusion.parameters(), lr=settings.lr, weight_decay=settings.weight_decay)
    trained = Trained(-1, {}, np.empty(0), [])
    _validate(trained, fusion, val, settings, 0, float("nan"))
    count = int(train.codes.max()) + 1
    for epoch in range(settings.epochs):
        losses = []
        rows = rows_by_study(train.codes, permutation(settings.seed, epoch, count), settings.batch_size)
        for index, chosen in enumerate(rows):
            step = round(1000 * (epoch + index / len(rows)) / settings.epochs)  # the number of batches per epoch varies
            optimizer.param_groups[0]["lr"] = lr_at(step, 1000, settings.lr, 0.0)
            optimizer.zero_grad(set_to_none=True)
            features, codes = train.batch(chosen, fusion.attention.device)
            loss = _loss(fusion(features, codes)[codes], train, chosen)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            losses.append(float(loss.detach()))
        _validate(trained, fusion, val, settings, epoch + 1, float(np.mean(losses)))
    return trained


def _loss(logits: Tensor, split: FeaturedSplit, rows: np.ndarray) -> Tensor:
    """The loss of the labels of each image against the scores of its study."""
    targets = torch.from_numpy(split.dataset.targets[rows].astype(np.float32)).to(logits.device)
    return masked_mean(bce(logits, targets), torch.from_numpy(split.dataset.label_mask[rows]).to(logits.device))


def _validate(
    trained: Trained, fusion: StudyFusion, val: FeaturedSplit, settings: FuseSettings, epoch: int, loss: float
) -> None:
    logits = np.empty(val.dataset.targets.shape, dtype=np.float32)
    with torch.inference_mode():
        for rows in rows_by_study(val.codes, np.arange(int(val.codes.max()) + 1), settings.batch_size):
            features, codes = val.batch(rows, fusion.attention.device)
            logits[rows] = fusion(features, codes)[codes].float().cpu().numpy()
    if not np.isfinite(logits).all():
        raise UserError(f"validation scores are not finite in epoch {epoch}", "the training diverged: lower --lr")
    ap = per_class(logits, val.dataset.targets, val.dataset.label_mask).ap
    if np.isnan(ap).all():
        raise UserError(f"{val.dataset.path}: the val split has no positive of any class", "see: cxrlt merge --split, --map")
    value, best = mean_of_defined(ap), max((entry["mAP"] for entry in trained.history), default=-1.0)
    val_loss = float(_loss(torch.from_numpy(logits), val, np.arange(len(logits))))
    named = {name: None if np.isnan(one) else float(one) for name, one in zip(val.dataset.classes, ap, strict=True)}
    train_loss = None if np.isnan(loss) else loss
    trained.history.append({"epoch": epoch, "train_loss": train_loss, "val_loss": val_loss, "mAP": value, "ap": named})
    if value > best:
        weights = {name: tensor.detach().cpu().clone() for name, tensor in fusion.state_dict().items()}
        trained.epoch, trained.weights, trained.logits = epoch, weights, logits
    say(f"epoch {epoch}/{settings.epochs}: validation loss {val_loss:.4f}, mAP {value:.4f}{' (best)' if value > best else ''}")
