"""Published encoders: features equal those of their own library, after its own preprocessing, for each family."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_encoders import TRANSFORMERS, into_cache, save_open_clip, save_timm, save_transformers
from torch import Tensor

from cxrlt_cli.config.encoder_name import parse_encoder
from cxrlt_cli.encoders.architecture import published_weights
from cxrlt_cli.model.encoder import VisualEncoder, encode
from cxrlt_cli.model.load_weights import load_weights

#: Network -> its feature map by transformers alone, from the output of AutoBackbone or of AutoModel.
_LEADING = {"vit": 1, "deit": 2, "clip": 1, "medsiglip": 0}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the Hugging Face hub."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def loaded(name: str) -> VisualEncoder:
    """An encoder with its published weights."""
    encoder = VisualEncoder(name).eval()
    load_weights(encoder, published_weights(parse_encoder(name)), Path(name))
    return encoder


def grays(size: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (2, size, size), dtype=np.uint8)


def assert_equal(encoder: VisualEncoder, pixels: np.ndarray, expected: Tensor) -> None:
    found = encode(encoder, torch.from_numpy(pixels))
    assert found.shape == expected.shape
    assert found.shape[1] == encoder.channels
    difference = float((found - expected).abs().max() / expected.abs().max())
    assert difference < 1e-5, difference


@pytest.mark.parametrize("size", [28, 56], ids=["size of training", "larger"])
@pytest.mark.parametrize("name", [name for name in TRANSFORMERS if name != "patch8"])
def test_transformers(name: str, size: int, tmp_path: Path, cache: Path) -> None:
    from transformers import AutoConfig, AutoImageProcessor, AutoModel
    from transformers.models.auto.modeling_auto import MODEL_FOR_BACKBONE_MAPPING

    if name in ("convnextv2", "resnet", "regnet"):
        size *= 2  # five halvings
    folder = into_cache(save_transformers(name, tmp_path / name), f"tiny/{name}", cache)
    pixels = grays(size)
    images = [Image.fromarray(gray).convert("RGB") for gray in pixels]
    inputs = AutoImageProcessor.from_pretrained(folder)(images, do_resize=False, do_center_crop=False, return_tensors="pt")
    config = AutoConfig.from_pretrained(folder)
    config = getattr(config, "vision_config", config)
    backbone = MODEL_FOR_BACKBONE_MAPPING.get(type(config), None)
    with torch.no_grad():
        if backbone is not None:
            expected = backbone.from_pretrained(str(folder)).eval()(**inputs).feature_maps[-1]
        elif name in _LEADING:
            network = AutoModel.from_pretrained(folder, config=config).eval()
            tokens = network(**inputs, interpolate_pos_encoding=True).last_hidden_state[:, _LEADING[name] :]
            expected = tokens.unflatten(1, (size // 14, size // 14)).permute(0, 3, 1, 2)
        else:
            expected = AutoModel.from_pretrained(folder).eval()(**inputs).last_hidden_state
    encoder = loaded(f"hf:tiny/{name}")
    encoder.check_size(size)
    assert_equal(encoder, pixels, expected)
    assert_equal(loaded(str(folder)), pixels, expected)
    stem = next(module for module in encoder.modules() if isinstance(module, torch.nn.Conv2d))
    assert stem.in_channels == (1 if len(encoder.mean) == 1 else 3)


IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
#: Network, mean and std, its arguments, the size of images.
TIMM: dict[str, tuple[str, tuple[Any, Any], dict[str, Any], int]] = {
    "vit": ("test_vit", IMAGENET, {"img_size": 64}, 64),
    "vit, larger": ("test_vit", IMAGENET, {"img_size": 64}, 96),
    "vit, mean over patches": ("test_vit", HALF, {"img_size": 64, "global_pool": "avg"}, 64),
    "eva02": ("eva02_tiny_patch14_224", HALF, {"depth": 2, "embed_dim": 48, "img_size": 56}, 56),
    "convnext": ("test_convnext", IMAGENET, {}, 64),
    "resnet": ("test_resnet", ((0.1, 0.1, 0.1), (0.3, 0.3, 0.3)), {}, 64),
    "efficientnet": ("test_efficientnet", ((0.5, 0.4, 0.3), (0.2, 0.2, 0.2)), {}, 64),
}


@pytest.mark.parametrize("case", TIMM)
def test_timm(case: str, tmp_path: Path, cache: Path) -> None:
    import timm

    name, (mean, std), arguments, size = TIMM[case]
    folder = into_cache(save_timm(name, tmp_path / "saved", mean, std, **arguments), "tiny/network", cache)
    sizes = {"img_size": size} if "img_size" in arguments else {}
    network: Any = timm.create_model(f"local-dir:{folder}", pretrained=True, **sizes).eval()
    pixels = grays(size)
    asked = {**timm.data.resolve_model_data_config(network), "crop_pct": 1.0, "input_size": (3, size, size)}
    transform = timm.data.create_transform(**asked)
    inputs = torch.stack([transform(Image.fromarray(gray).convert("RGB")) for gray in pixels])
    with torch.no_grad():
        expected = network.forward_features(inputs)
    if expected.dim() == 3:
        side = size // network.patch_embed.patch_size[0]
        expected = expected[:, network.num_prefix_tokens :].unflatten(1, (side, side)).permute(0, 3, 1, 2)
    for given in ("timm:hf-hub:tiny/network", f"timm:local-dir:{folder}"):
        encoder = loaded(given)
        encoder.check_size(size)
        assert_equal(encoder, pixels, expected)


@pytest.mark.parametrize("size", [32, 64], ids=["size of training", "larger"])
def test_open_clip(size: int, tmp_path: Path, cache: Path) -> None:
    open_clip = pytest.importorskip("open_clip", reason="open_clip is not installed")
    folder = into_cache(save_open_clip(tmp_path / "saved"), "tiny/clip", cache)
    network, transform = open_clip.create_model_from_pretrained(f"local-dir:{folder}", force_image_size=size)
    pixels = grays(size)
    inputs = torch.stack([transform(Image.fromarray(gray).convert("RGB")) for gray in pixels])
    with torch.no_grad():
        tokens = network.eval().visual.ln_post(network.visual.transformer(network.visual._embeds(inputs)))[:, 1:]
    expected = tokens.unflatten(1, (size // 8, size // 8)).permute(0, 3, 1, 2)
    for name in ("open_clip:hf-hub:tiny/clip", f"open_clip:local-dir:{folder}"):
        encoder = loaded(name)
        encoder.check_size(size)
        assert_equal(encoder, pixels, expected)
