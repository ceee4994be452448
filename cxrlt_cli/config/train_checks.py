"""Options of `cxrlt train` that mean nothing together, or that would harm a training."""

from cxrlt_cli.config.train_grammar import LossSpec
from cxrlt_cli.errors import UserError

#: Loss -> its best logits of an absent and a present label under a smoothing of 0.1 (ldam: of the rarest class).
_MOVED = {"asl": "-0.3 and +1.8", "ldam": "-0.1 and +0.6"}


def check_freeze(freeze: str, weights: str, encoder_lr: float) -> None:
    """Raises UserError where a frozen encoder starts from random weights, or has a learning rate of its own."""
    if freeze != "encoder":
        return
    if weights == "none":
        raise UserError("--freeze encoder needs trained weights", "as in --weights runs/NAME or --weights imagenet")
    if encoder_lr != 1:
        raise UserError("--freeze encoder leaves no learning rate for --encoder-lr to scale", "leave one of them out")


def check_smoothing(loss: LossSpec, amount: float) -> None:
    """Raises UserError for a loss whose minimum smoothing moves; `tests/train/test_smoothing.py` computes the logits."""
    if amount and loss.name in _MOVED:
        raise UserError(
            f"--loss {loss.name} and --label-smoothing {amount} exclude each other: smoothing moves the minimum of "
            f"{loss.name}. At {loss.name}'s default numbers and a smoothing of 0.1 it lies at logits of {_MOVED[loss.name]} "
            "for absent and present labels; that of bce lies at -2.9 and +2.9",
            "leave one of them out",
        )


def check_two_way(loss: LossSpec, balance: str, accumulate: int) -> None:
    """Raises UserError where the two-way loss, which compares all labels of a batch, is combined with a part of them."""
    if loss.name != "two-way":
        return
    if balance != "none":
        raise UserError("--loss two-way has no loss of a single label that --balance could weigh", "leave one of them out")
    if accumulate != 1:
        raise UserError("--loss two-way compares all images of a batch: --accumulate would change it", "leave one of them out")
