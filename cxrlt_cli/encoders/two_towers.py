"""Models of images and texts of open_clip (`pip install cxrlt[open_clip]`), with both towers."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cxrlt_cli.config.encoder_name import EncoderName
from cxrlt_cli.console import quiet_transformers, warn
from cxrlt_cli.encoders.files import encoder_folder, hub_snapshot, required_file
from cxrlt_cli.encoders.open_clip_models import CONFIG, WEIGHTS, import_open_clip, text_config
from cxrlt_cli.errors import UserError, listed, reason

RESIZE_MODES = ("shortest", "longest", "squash")
_AGAIN = "fetch the model again with cxrlt fetch --backbone, or name another"


@dataclass(frozen=True)
class TwoTowers:
    """A model of images and texts.

    Attributes:
        network: open_clip's, in evaluation mode.
        tokenizer: open_clip's; texts to (T, L) int64 tokens.
        weights: the file of its weights.
        size: side of its images, px.
        mean, std: of each of its three channels, of values of 0..1.
        interpolation: of its own resizing: bicubic or bilinear.
        resize_mode: how its own preprocessing makes a square: shortest (crops the middle), longest (pads) or squash.
    """

    network: Any
    tokenizer: Any
    weights: Path
    size: int
    mean: list[float]
    std: list[float]
    interpolation: str
    resize_mode: str

    @property
    def scale(self) -> float:
        """The factor of a cosine: the exponential of the learned `logit_scale`."""
        return float(self.network.logit_scale.detach().double().exp())

    @property
    def bias(self) -> float:
        """The learned `logit_bias`, as SigLIP has one; 0 where the model has none."""
        bias = getattr(self.network, "logit_bias", None)
        return 0.0 if bias is None else float(bias.detach())


def read_two_towers(name: EncoderName) -> TwoTowers:
    """Reads both towers, the tokenizer and the preprocessing of a model of open_clip. Nothing is downloaded.

    Raises:
        UserError: open_clip is not installed, the model is not on this machine, damaged or incomplete, has no text tower, or
            takes images that are not square.
    """
    folder = encoder_folder(name)
    open_clip = import_open_clip()
    text = _text_tower(folder)
    weights = required_file(folder, WEIGHTS)
    try:
        with quiet_transformers():
            network = open_clip.create_model(f"local-dir:{folder}", require_pretrained=True, text_cfg=text)
            tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}")
        preprocessing = open_clip.transform.PreprocessCfg(**network.visual.preprocess_cfg)
        mean, std = (_channels(value) for value in (preprocessing.mean, preprocessing.std))
    except Exception as error:
        raise UserError(f"{folder} cannot be loaded as a model of images and texts: {reason(error)}", _AGAIN) from error
    sides = {preprocessing.size} if isinstance(preprocessing.size, int) else set(preprocessing.size)
    if len(sides) > 1:
        raise UserError(f"{name.text} takes images of {preprocessing.size} px, which are not square", "name another model")
    mode = preprocessing.resize_mode or "shortest"
    if mode not in RESIZE_MODES:
        raise UserError(f"{folder}: unknown resize_mode {mode!r} in {CONFIG}", f"expected {listed(RESIZE_MODES)}")
    interpolation = "bilinear" if preprocessing.interpolation == "bilinear" else "bicubic"
    return TwoTowers(network.eval(), tokenizer, weights, sides.pop(), mean, std, interpolation, mode)


def _channels(value: Any) -> list[float]:
    """Three numbers, from one for all channels or one for each."""
    one_each = [value] * 3 if isinstance(value, int | float) else list(value)
    return [float(number) for number in one_each]


def _text_tower(folder: Path) -> dict[str, Any]:
    """The configuration of the text tower; where transformers builds it, with the local folder of its own configuration."""
    text = text_config(folder)
    if text is None:
        raise UserError(
            f"{folder} has no text tower (text_cfg in {CONFIG}), so that it cannot score texts",
            "name a model of images and texts; an image tower alone is an --encoder of cxrlt train",
        )
    needed = text.get("hf_model_name")
    if not needed:
        return text
    files = hub_snapshot(needed)
    if files is None:
        raise UserError(
            f"the text tower of {folder} is built from the configuration of {needed}, which is not on this machine",
            f"on a machine with internet: cxrlt fetch --encoder {needed}",
        )
    return {**text, "hf_model_name": str(files), "hf_model_pretrained": False}


def text_directions(towers: TwoTowers, texts: list[list[str]]) -> Tensor:
    """The direction of each class in the space of both towers.

    Each text is encoded alone, so that its vector does not depend on the others. The vectors of a class are scaled to length 1,
    averaged, and scaled again, as in open_clip's `build_zero_shot_classifier` and in Radford et al. (ICML 2021, section 3.1.4).

    Args:
        towers: the model.
        texts: of each class, at least one.

    Returns:
        (C, D) float32 of length 1, on the network's device. A warning says how many texts fill the whole context of the model,
        which cuts longer ones.

    Raises:
        UserError: a vector is not finite.
    """
    device = next(towers.network.parameters()).device
    full, directions = 0, []
    with torch.inference_mode():
        for own in texts:
            vectors = []
            for text in own:
                tokens = towers.tokenizer([text]).to(device)
                full += int(tokens[0, -1] != _padding(towers.tokenizer))
                vectors.append(towers.network.encode_text(tokens, normalize=True).float()[0])
            directions.append(torch.nn.functional.normalize(torch.stack(vectors).mean(dim=0), dim=0))
    found = torch.stack(directions)
    if not torch.isfinite(found).all():
        raise UserError(f"{towers.weights}: vectors of texts are not finite", _AGAIN)
    if full:
        warn(f"texts that fill the {tokens.shape[1]} tokens of the model, which cuts longer ones: {full}")
    return found


def _padding(tokenizer: Any) -> int:
    """The token after the end of a text: 0 in open_clip's own tokenizer."""
    return int(getattr(getattr(tokenizer, "tokenizer", None), "pad_token_id", None) or 0)
