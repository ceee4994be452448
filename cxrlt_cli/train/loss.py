"""The grammar of `--loss`, and the loss that the flags stand for. Every loss ends in the one masked mean."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from cxrlt_cli.config.train import TrainConfig
from cxrlt_cli.errors import UserError, nearest
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

#: Name -> its numbers where none are given, in the order of `_NUMBERS`.
DEFAULTS: dict[str, tuple[float, ...]] = {
    "bce": (),
    "focal": (2.0,),
    "asl": (4.0, 1.0, 0.05),
    "ldam": (0.5, 30.0),
    "db": (2.0,),
    "two-way": (4.0,),
}
_NUMBERS = {
    "bce": (),
    "focal": ("GAMMA",),
    "asl": ("G-", "G+", "CLIP"),
    "ldam": ("MARGIN", "SCALE"),
    "db": ("LAMBDA",),
    "two-way": ("T",),
}
_HINT = "one of bce, focal[:GAMMA], asl[:G-/G+/CLIP], ldam[:MARGIN/SCALE], db[:LAMBDA], two-way[:T]"
_LARGEST = 1000.0
_EXPONENT = "is 0 or at least 1: between them a label that is certain has no finite gradient"

#: (logits, targets) of (B, C) to (B, C) losses.
Elements = Callable[[Tensor, Tensor], Tensor]
#: (logits, targets, known, share of the training that is done) to a number.
Loss = Callable[[Tensor, Tensor, Tensor, float], Tensor]


@dataclass(frozen=True)
class Counts:
    """What the training split has: positives and known labels, (C,) each, and the class weights (C,) of `--reweight`."""

    positives: Tensor
    label_mask: Tensor
    weights: Tensor

    def to(self, device: torch.device) -> "Counts":
        """The same on a device."""
        return Counts(self.positives.to(device), self.label_mask.to(device), self.weights.to(device))


def parse_loss(text: str) -> tuple[str, tuple[float, ...]]:
    """Name and numbers of `--loss`. Raises UserError where it is none of the grammar."""
    name, _, given = text.partition(":")
    if name not in DEFAULTS:
        raise UserError(f"--loss {text!r} is no loss{nearest(name, DEFAULTS)}", _HINT)
    names = _NUMBERS[name]
    try:
        numbers = tuple(float(part) for part in given.split("/")) if given else DEFAULTS[name]
    except ValueError:
        numbers = ()
    if len(numbers) != len(names):
        said = f"takes {len(names)} numbers, {'/'.join(names)}" if names else "takes no number"
        raise UserError(f"--loss {text!r}: {name} {said}", _HINT)
    for what, number in zip(names, numbers, strict=True):
        wrong = _fault(what, number)
        if wrong:
            raise UserError(f"--loss {text!r}: {what} {wrong}", _HINT)
    return name, numbers


def _fault(what: str, number: float) -> str:
    """What is wrong with one number of a loss; empty where nothing is."""
    if what == "CLIP":
        return "" if 0 <= number < 1 else "is a probability of 0 or more, below 1"
    if what in ("GAMMA", "G-", "G+"):
        if 0 < number < 1:
            return _EXPONENT
        return "" if 0 <= number <= _LARGEST else f"is within 0 … {_LARGEST:g}"
    return "" if 1 / _LARGEST <= number <= _LARGEST else f"is within {1 / _LARGEST:g} … {_LARGEST:g}"


def make_loss(config: TrainConfig, counts: Counts) -> Loss:
    """The loss of the flags: `--loss`, `--balance`, `--label-smoothing`, `--logit-adjustment`, `--reweight`, `--reweight-from`.

    Raises:
        UserError: `--loss` is none.
    """
    name, numbers = parse_loss(config.loss)
    prevalence = prior_logits(counts.positives, counts.label_mask, 1.0).sigmoid().float()
    elements = _elements(name, numbers, counts, prevalence)
    offset = None
    if config.logit_adjustment:
        offset = prior_logits(counts.positives, counts.label_mask, config.logit_adjustment).float()
    weights = counts.weights.float() if bool((counts.weights != 1).any()) else None

    def loss(logits: Tensor, targets: Tensor, label_mask: Tensor, done: float) -> Tensor:
        logits = logits.float()
        if offset is not None:
            logits = logits + offset
        labelled = targets  # what weights go by: smoothing moves the target of a label, not whether it is one of the rare
        if config.label_smoothing:
            targets = smoothed(targets, config.label_smoothing)
        now = weights if done >= config.reweight_from else None
        if name == "two-way":
            return _both_ways(logits, targets, label_mask, numbers[0], now)
        losses = elements(logits, targets)
        if name == "db":
            losses = losses * rebalanced_weights(labelled, label_mask, prevalence)
        if config.balance == "prevalence":
            losses = losses * prevalence_weights(labelled, prevalence)
        return masked_mean(losses, label_mask, now)

    return loss


def _elements(name: str, numbers: tuple[float, ...], counts: Counts, prior: Tensor) -> Elements:
    """The loss of each label of each image; what depends on the classes' frequencies is settled here."""
    if name == "focal":
        return lambda logits, targets: focal(logits, targets, numbers[0])
    if name == "asl":
        return lambda logits, targets: asymmetric(logits, targets, *numbers)
    if name == "ldam":
        margins = ldam_margins(counts.positives, numbers[0]).float()
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
