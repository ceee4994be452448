"""Options of `cxrlt train` that mean nothing together, or that would harm a training."""

from cxrlt_cli.config.encoder_name import EncoderName
from cxrlt_cli.config.train_grammar import LossSpec
from cxrlt_cli.errors import UserError

#: Loss -> its best logits of an absent and a present label under a smoothing of 0.1 (ldam: of the rarest class).
_MOVED = {"asl": "-0.3 and +1.8", "ldam": "-0.1 and +0.6"}


def check_tune(tune: str, freeze: str, weights: str, encoder_lr: float) -> None:
    """Checks what of the encoder is trained against the other options.

    Args:
        tune: value of `--tune`.
        freeze: value of `--freeze`; also encoder where `--tune` is head.
        weights: value of `--weights`.
        encoder_lr: value of `--encoder-lr`.

    Raises:
        UserError: a frozen encoder has random weights or a learning rate of its own, or is also to be adapted.
    """
    if tune == "full" and freeze == "none":
        return
    flag = "--freeze encoder" if tune == "full" else f"--tune {tune}"
    if weights == "none":
        raise UserError(f"{flag} needs trained weights", "as in --weights runs/NAME, imagenet or pretrained")
    if freeze == "none":
        return
    if tune.startswith("lora"):
        raise UserError(f"{flag} and --freeze encoder exclude each other", "leave one of them out")
    if encoder_lr != 1:
        raise UserError(f"{flag} leaves no learning rate for --encoder-lr to scale", "leave one of them out")


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


def name_of_run(encoder: EncoderName, reweight: str, loss: str, sampling: str, seed: int) -> str:
    """The name of a run that was given none.

    Args:
        encoder: its last part begins the name.
        reweight: value of this flag, as all below.
        loss: left out where it is bce.
        sampling: left out where it is none.
        seed: appended where it is not 0.
    """
    said = (reweight, loss if loss != "bce" else "", sampling if sampling != "none" else "")
    parts = ["".join(_in_a_name(mark) for mark in text) for text in (encoder.short, *said)]
    return "-".join(part for part in (*parts, f"seed{seed}" if seed else "") if part)


def _in_a_name(mark: str) -> str:
    return mark if mark.isalnum() or mark in ".-" else "x" if mark == ":" else "_"
