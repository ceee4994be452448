"""The grammar of `--loss`, and the loss that the flags stand for. Every loss ends in the one masked mean."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from cxrlt_cli.config.train import TrainConfig
from cxrlt_cli.errors import UserError, nearest
from cxrlt_cli.tricks.asymmetric import asymmetric
from cxrlt_cli.tricks.bce import bce
from cxrlt_cli.tricks.distribution_balanced import distribution_balanced
from cxrlt_cli.tricks.focal import focal
from cxrlt_cli.tricks.label_smoothing import smoothed
from cxrlt_cli.tricks.ldam import ldam, ldam_margins
from cxrlt_cli.tricks.logit_adjustment import prior_logits
from cxrlt_cli.tricks.masked_mean import masked_mean
from cxrlt_cli.tricks.prevalence_weight import prevalence_weights
from cxrlt_cli.tricks.two_way import two_way

#: Name -> its numbers where none are given: gamma; gamma-, gamma+, clip; largest margin, scale; negative scale; temperature.
DEFAULTS: dict[str, tuple[float, ...]] = {
    "bce": (),
    "focal": (2.0,),
    "asl": (4.0, 1.0, 0.05),
    "ldam": (0.5, 30.0),
    "db": (2.0,),
    "two-way": (4.0,),
}
_HINT = "one of bce, focal[:GAMMA], asl[:G-/G+/CLIP], ldam[:MARGIN/SCALE], db[:LAMBDA], two-way[:T]"

#: (logits, targets, known) of (B, C) to (B, C) losses.
Elements = Callable[[Tensor, Tensor, Tensor], Tensor]
#: (logits, targets, known, share of the training that is done) to a number.
Loss = Callable[[Tensor, Tensor, Tensor, float], Tensor]


@dataclass(frozen=True)
class Counts:
    """What the training split has: positives and known labels, (C,) each, and the class weights (C,) of `--reweight`."""

    positives: Tensor
    known: Tensor
    weights: Tensor

    def to(self, device: torch.device) -> "Counts":
        """The same on a device."""
        return Counts(self.positives.to(device), self.known.to(device), self.weights.to(device))


def parse_loss(text: str) -> tuple[str, tuple[float, ...]]:
    """Name and numbers of `--loss`. Raises UserError where it is none of the grammar."""
    name, _, given = text.partition(":")
    if name not in DEFAULTS:
        raise UserError(f"--loss {text!r} is no loss{nearest(name, DEFAULTS)}", _HINT)
    defaults = DEFAULTS[name]
    try:
        numbers = tuple(float(part) for part in given.split("/")) if given else defaults
    except ValueError:
        numbers = ()
    sound = len(numbers) == len(defaults) and all(math.isfinite(number) and number >= 0 for number in numbers)
    if not sound or (name in ("ldam", "db", "two-way") and 0 in numbers) or (name == "asl" and numbers[2] >= 1):
        raise UserError(f"--loss {text!r}: {name} takes {len(defaults)} numbers of 0 or more", _HINT)
    return name, numbers


def make_loss(config: TrainConfig, counts: Counts) -> Loss:
    """The loss of the flags: `--loss`, `--balance`, `--label-smoothing`, `--logit-adjustment`, `--reweight`, `--reweight-from`.

    Raises:
        UserError: `--loss` is none.
    """
    name, numbers = parse_loss(config.loss)
    elements = _elements(name, numbers, counts)
    offset = None
    if config.logit_adjustment:
        offset = prior_logits(counts.positives, counts.known, config.logit_adjustment).float()
    prevalence = prior_logits(counts.positives, counts.known, 1.0).sigmoid().float()
    weights = counts.weights.float() if bool((counts.weights != 1).any()) else None

    def loss(logits: Tensor, targets: Tensor, known: Tensor, done: float) -> Tensor:
        logits = logits.float()
        if offset is not None:
            logits = logits + offset
        if config.label_smoothing:
            targets = smoothed(targets, config.label_smoothing)
        now = weights if done >= config.reweight_from else None
        if name == "two-way":
            return _both_ways(logits, targets, known, numbers[0], now)
        losses = elements(logits, targets, known)
        if config.balance == "prevalence":
            losses = losses * prevalence_weights(targets, prevalence)
        return masked_mean(losses, known, now)

    return loss


def _elements(name: str, numbers: tuple[float, ...], counts: Counts) -> Elements:
    """The loss of each label of each image; what depends on the classes' frequencies is settled here."""
    if name == "focal":
        return lambda logits, targets, _: focal(logits, targets, numbers[0])
    if name == "asl":
        return lambda logits, targets, _: asymmetric(logits, targets, *numbers)
    if name == "ldam":
        margins = ldam_margins(counts.positives, numbers[0]).float()
        return lambda logits, targets, _: ldam(logits, targets, margins, numbers[1])
    if name == "db":
        prior = prior_logits(counts.positives, counts.known, 1.0).sigmoid().float()
        return lambda logits, targets, known: distribution_balanced(logits, targets, known, prior, numbers[0])
    return lambda logits, targets, _: bce(logits, targets)


def _both_ways(logits: Tensor, targets: Tensor, known: Tensor, temperature: float, weights: Tensor | None) -> Tensor:
    """The mean over images plus the mean over labels; class weights act on the labels."""
    losses, sound = two_way(logits, targets, known, temperature)
    images = len(logits)
    over_images = masked_mean(losses[:images, None], sound[:images, None])
    return over_images + masked_mean(losses[None, images:], sound[None, images:], weights)
