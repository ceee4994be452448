"""Sizes of the decoders, and which flags of the decoder go together."""

from collections.abc import Mapping
from typing import Any

from cxrlt_cli.errors import UserError

#: Flags of the decoder and their defaults.
DECODER_FLAGS = {"--decoder": "residual", "--label-attention": "on", "--decoder-positions": "none"}

#: Sizes of each decoder where none are given; those of the transformer are KAD's, those of glori CheXFound's.
_SIZES = {
    "residual": {"layers": 1, "heads": 4, "width": 256, "feedforward": 512},
    "transformer": {"layers": 4, "heads": 4, "width": 768, "feedforward": 1024},
    "glori": {"layers": 1, "heads": 8, "width": 768, "feedforward": 2048},
}

#: Classifiers of the queries that leave no choice of the decoder.
_CLASSIFIERS = {"none": ("separate", "mlp"), "csra": ("separate",), "glori": ("separate",)}


def decoder_sizes(decoder: str, given: Mapping[str, int | None]) -> dict[str, int]:
    """Layers, heads, width and hidden units of a decoder: those given, else its own.

    Args:
        decoder: residual, transformer or glori.
        given: layers, heads, width and feedforward, None for the decoder's own.
    """
    return {**_SIZES[decoder], **{name: value for name, value in given.items() if value is not None}}


def check_decoder(queries: str, classifier: str, given: Mapping[str, str], size: Mapping[str, Any]) -> None:
    """Checks that the flags of the decoder have an effect and fit together.

    Args:
        queries: `--queries`.
        classifier: `--classifier`.
        given: the values of `DECODER_FLAGS`.
        size: of the decoder.

    Raises:
        UserError: they do not; the message names the flags.
    """
    if queries in _CLASSIFIERS:
        idle = [name for name, usual in DECODER_FLAGS.items() if given[name] != usual]
        idle += [] if classifier in _CLASSIFIERS[queries] else ["--classifier"]
        if idle:
            raise UserError(
                f"--queries {queries} has no decoder to choose: {idle[0]} has no effect",
                "leave it out, or use --queries text or learned",
            )
    if classifier == "text":
        _check_text_classifier(queries, given, size)
    if size["width"] % size["heads"]:
        text = f"--decoder-width {size['width']} cannot be shared among --decoder-heads {size['heads']}"
        raise UserError(text, "the width is a multiple of the heads")
    if given["--decoder-positions"] == "none":
        return
    if given["--decoder"] == "transformer":
        raise UserError(
            "--decoder-positions sine is for the residual decoder: the published transformer has no positions",
            "leave one of them out",
        )
    if size["width"] % 4:
        raise UserError(
            f"--decoder-positions sine needs a --decoder-width of a multiple of 4, not {size['width']}",
            "as in --decoder-width 256",
        )


def _check_text_classifier(queries: str, given: Mapping[str, str], size: Mapping[str, Any]) -> None:
    if queries != "text":
        raise UserError(
            f"--classifier text takes a label's weights from its text, --queries {queries} leaves the text",
            "leave --queries out, or choose another --classifier",
        )
    attends = given["--decoder"] == "transformer" or size["layers"] > 1
    if attends and given["--label-attention"] == "on":
        raise UserError(
            "--classifier text needs --label-attention off: with attention among the labels, a label's score depends on which "
            "other labels are scored with it",
            "add --label-attention off",
        )
