"""Builds the loss from the flags. Every loss ends with `masked_mean`."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from cxrlt_cli.train.settings import LossSettings
from cxrlt_cli.tricks.asymmetric import asymmetric
from cxrlt_cli.tricks.bce import bce
from cxrlt_cli.tricks.distribution_balanced import negative_tolerant, rebalanced_weights
from cxrlt_cli.tricks.focal import focal
from cxrlt_cli.tricks.label_smoothing import smoothed
from cxrlt_cli.tricks.ldam import ldam, ldam_margins
from cxrlt_cli.tricks.logit_adjustment import prior_logits
from cxrlt_cli.tricks.masked_mean import masked_mean
from cxrlt_cli.tricks.prevalence_weight import prevalence_weights
from cxrlt_cli.tricks.two_way import two_way

_CPU = torch.device("cpu")

#: (logits, targets) of (B, C) to (B, C) losses.
Elements = Callable[[Tensor, Tensor], Tensor]
#: (logits, targets, label mask, finished fraction of the training) to a number.
Loss = Callable[[Tensor, Tensor, Tensor, float], Tensor]


@dataclass(frozen=True)
class Counts:
    """Counts of the training split, (C,) each: positives, known labels (`labelled`), and the class weights of `--reweight`.

    Weights are None if all are 1.
    """

    positives: Tensor
    labelled: Tensor
    weights: Tensor | None = None


def make_loss(settings: LossSettings, counts: Counts, device: torch.device = _CPU) -> Loss:
    """The loss of `--loss`, `--balance`, `--label-smoothing`, `--logit-adjustment`, `--reweight` and `--reweight-from`.

    What depends on the counts is computed on the CPU in float64, which not every device has, and moved to the device.
    """
    name, numbers = settings.loss_spec.name, settings.loss_spec.numbers
    prevalence = prior_logits(counts.positives, counts.labelled, 1.0).sigmoid().float().to(device)
    elements = _elements(name, numbers, counts, prevalence)
    offset = None
    if settings.logit_adjustment:
        offset = prior_logits(counts.positives, counts.labelled, settings.logit_adjustment).float().to(device)
    weights = None if counts.weights is None else counts.weights.float().to(device)

    def loss(logits: Tensor, targets: Tensor, label_mask: Tensor, done: float) -> Tensor:
        logits = logits.float()
        if offset is not None:
            logits = logits + offset
        labelled = targets  # weights depend on the labels before smoothing
        if settings.label_smoothing:
            targets = smoothed(targets, settings.label_smoothing)
        now = weights if done >= settings.reweight_from else None
        if name == "two-way":
            return _both_ways(logits, targets, label_mask, numbers[0], now)
        losses = elements(logits, targets)
        if name == "db":
            losses = losses * rebalanced_weights(labelled, label_mask, prevalence)
        if settings.balance == "prevalence":
            losses = losses * prevalence_weights(labelled, prevalence)
        return masked_mean(losses, label_mask, now)

    return loss


def _elements(name: str, numbers: tuple[float, ...], counts: Counts, prior: Tensor) -> Elements:
    """The loss per label and image; quantities that depend on class frequencies are computed once, here."""
    if name == "focal":
        return lambda logits, targets: focal(logits, targets, numbers[0])
    if name == "asl":
        return lambda logits, targets: asymmetric(logits, targets, *numbers)
    if name == "ldam":
        margins = ldam_margins(counts.positives, numbers[0]).float().to(prior.device)
        return lambda logits, targets: ldam(logits, targets, margins, numbers[1])
    if name == "db":
        return lambda logits, targets: negative_tolerant(logits, targets, prior, numbers[0])
    return bce


def _both_ways(logits: Tensor, targets: Tensor, label_mask: Tensor, temperature: float, weights: Tensor | None) -> Tensor:
    """The mean over images plus the mean over labels; class weights act on the labels."""
    losses, sound = two_way(logits, targets, label_mask, temperature)
    images = len(logits)
    over_images = masked_mean(losses[:images, None], sound[:images, None])
    return over_images + masked_mean(losses[None, images:], sound[None, images:], weights)
