"""Checks options of `cxrlt train` that contradict each other, or would harm the training."""

from typing import Any

from cxrlt_cli.config.decoder_flags import check_decoder
from cxrlt_cli.config.encoder_name import EncoderName
from cxrlt_cli.config.ranges import check_fractions, check_not_negative, check_positive
from cxrlt_cli.config.train_grammar import LossSpec
from cxrlt_cli.errors import UserError
from cxrlt_cli.options import flag_of

#: Loss -> its best logits of an absent and a present label under a smoothing of 0.1 (ldam: of the rarest class).
_MOVED = {"asl": "-0.3 and +1.8", "ldam": "-0.1 and +0.6"}


_POSITIVE = (
    "epochs", "batch_size", "lr", "encoder_lr", "decoder_layers", "decoder_heads", "decoder_width", "decoder_feedforward",
    "rank_timeout",
)  # fmt: skip
_FRACTIONS = (
    "warmup", "decoder_dropout", "label_smoothing", "mosaic", "reweight_from", "drop_path", "blur", "noise", "erasing",
)  # fmt: skip
#: Options that change pixels, or act in the encoder, and the values with which they do not.
_OF_PIXELS = {"augment": "none", "cutmix": 0, "mosaic": 0, "blur": 0, "noise": 0, "erasing": 0}
_OF_ENCODER = {"tune": "head", "drop_path": 0, "layer_decay": 1, "checkpointing": False}


def check_ranges(config: Any) -> None:
    """Raises UserError where a number of the options is out of its range."""
    check_positive(config, _POSITIVE)
    check_fractions(config, _FRACTIONS)
    check_not_negative(config, ("mixup", "cutmix", "weight_decay", "logit_adjustment", "accumulate", "patience", "fold"))
    if not 0 < config.layer_decay <= 1:
        raise UserError(f"--layer-decay {config.layer_decay} is not within 0 … 1", "as in 0.8; 1 is off")


def check_pairs(config: Any) -> None:
    """Raises UserError for options that mean nothing together."""
    given = {
        "--decoder": config.decoder,
        "--label-attention": config.label_attention,
        "--decoder-positions": config.decoder_positions,
    }
    check_decoder(config.queries, config.classifier, given, config.decoder_size)
    check_tune(config.tune, config.freeze, config.weights, config.encoder_lr)
    check_smoothing(config.loss_spec, config.label_smoothing)
    check_two_way(config.loss_spec, config.balance, config.accumulate)
    if config.hard_from and not any(term.kind == "hard" for term in config.reweight_terms):
        raise UserError("--hard-from names the run for --reweight hardK:F, which is not given", "as in --reweight hard9:3")


def check_features(config: Any) -> None:
    """Raises UserError where training on stored features is given an option that needs pixels or the encoder."""
    reasons = {
        "changes pixels, and --features trains on maps that were made of them before": _OF_PIXELS,
        "acts in the encoder, which --features does not run": _OF_ENCODER,
    }
    for why, idle in reasons.items() if config.features else ():
        name = next((name for name, value in idle.items() if getattr(config, name) != value), None)
        if name:
            value = getattr(config, name)
            raise UserError(
                f"{flag_of(config, name)}{'' if value is True else f' {value}'} {why}",
                "leave it out, or leave --features out; augmented maps are made with: cxrlt features --views",
            )


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


def name_of_run(encoder: EncoderName, flags: tuple[str, str, str], fold: int | None, seed: int) -> str:
    """The name of a run that was given none.

    Args:
        encoder: its last part begins the name.
        flags: values of `--reweight`, `--loss` (left out where it is bce) and `--sampling` (left out where it is none).
        fold: appended where one is held out.
        seed: appended where it is not 0.
    """
    reweight, loss, sampling = flags
    said = (reweight, loss if loss != "bce" else "", sampling if sampling != "none" else "")
    parts = ["".join(_in_a_name(mark) for mark in text) for text in (encoder.short, *said)]
    numbers = "" if fold is None else f"fold{fold}", f"seed{seed}" if seed else ""
    return "-".join(part for part in (*parts, *numbers) if part)


def _in_a_name(mark: str) -> str:
    return mark if mark.isalnum() or mark in ".-" else "x" if mark == ":" else "_"
