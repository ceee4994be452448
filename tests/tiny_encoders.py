"""Tiny encoders of the real classes of transformers, timm and open_clip, saved as their libraries save them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

_VIT: dict[str, Any] = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48, "image_size": 28,
    "patch_size": 14,
}  # fmt: skip
_TEXT: dict[str, Any] = {
    "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32, "vocab_size": 50,
    "max_position_embeddings": 8, "projection_size": 32, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
_STAGES: dict[str, Any] = {"hidden_sizes": [8, 16, 16, 32], "depths": [1, 1, 2, 1]}

#: Name -> the network, and the image processor with its own arguments. `rad-dino`: one mean and std, as RAD-DINO has.
TRANSFORMERS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "rad-dino": (
        lambda t: t.Dinov2Model(t.Dinov2Config(**_VIT)),
        lambda t: t.BitImageProcessor(image_mean=[0.5307] * 3, image_std=[0.2583] * 3),
    ),
    "patch8": (
        lambda t: t.Dinov2Model(t.Dinov2Config(**{**_VIT, "patch_size": 8, "image_size": 32})),
        lambda t: t.BitImageProcessor(),
    ),
    "dinov2": (lambda t: t.Dinov2Model(t.Dinov2Config(**_VIT)), lambda t: t.BitImageProcessor()),
    "dinov2-registers": (
        lambda t: t.Dinov2WithRegistersModel(t.Dinov2WithRegistersConfig(**_VIT, num_register_tokens=3)),
        lambda t: t.BitImageProcessor(),
    ),
    "dinov3": (
        lambda t: t.DINOv3ViTModel(t.DINOv3ViTConfig(**_VIT, num_register_tokens=3)),
        lambda t: t.DINOv3ViTImageProcessor(),
    ),
    "beit": (
        lambda t: t.BeitModel(t.BeitConfig(**_VIT, use_relative_position_bias=True)),
        lambda t: t.BeitImageProcessor(),
    ),
    "vit": (lambda t: t.ViTForImageClassification(t.ViTConfig(**_VIT)), lambda t: t.ViTImageProcessor()),
    "deit": (lambda t: t.DeiTModel(t.DeiTConfig(**_VIT)), lambda t: t.DeiTImageProcessor()),
    "clip": (
        lambda t: t.CLIPModel(t.CLIPConfig(vision_config=_VIT, text_config=_TEXT)),
        lambda t: t.CLIPImageProcessor(),
    ),
    "medsiglip": (
        lambda t: t.SiglipModel(t.SiglipConfig(vision_config=_VIT, text_config=_TEXT)),
        lambda t: t.SiglipImageProcessor(),
    ),
    "swin": (
        lambda t: t.SwinModel(t.SwinConfig(image_size=28, patch_size=2, embed_dim=16, depths=[1, 1], num_heads=[2, 2])),
        lambda t: t.ViTImageProcessor(),
    ),
    "convnextv2": (lambda t: t.ConvNextV2Model(t.ConvNextV2Config(**_STAGES)), lambda t: t.ConvNextImageProcessor()),
    "resnet": (lambda t: t.ResNetModel(t.ResNetConfig(embedding_size=8, **_STAGES)), lambda t: t.ConvNextImageProcessor()),
    "regnet": (
        lambda t: t.RegNetModel(t.RegNetConfig(embedding_size=8, groups_width=8, **_STAGES)),
        lambda t: t.EfficientNetImageProcessor(),  # values of -2 to 2
    ),
}


def save_transformers(name: str, folder: Path) -> Path:
    """Writes a network of `TRANSFORMERS` with weights that differ from the initial ones, and its image processor."""
    import transformers

    network, processor = TRANSFORMERS[name]
    torch.manual_seed(1)
    made = _stirred(network(transformers))
    made.save_pretrained(folder)
    processor(transformers).save_pretrained(folder)
    return folder


def save_timm(name: str, folder: Path, mean: tuple[float, ...], std: tuple[float, ...], **arguments: Any) -> Path:
    """Writes a network of timm as `timm.models.push_to_hf_hub` does."""
    import timm
    from timm.models import save_for_hf

    torch.manual_seed(1)
    network: Any = _stirred(timm.create_model(name, num_classes=3, **arguments))
    network.pretrained_cfg = {**network.pretrained_cfg, "mean": mean, "std": std}
    save_for_hf(network, str(folder), model_args=arguments or None)
    return folder


OPEN_CLIP: dict[str, Any] = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 32, "patch_size": 8, "head_width": 16},
    "text_cfg": {"context_length": 8, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}


def save_open_clip(folder: Path, preprocess: dict[str, Any] | None = None, **changes: Any) -> Path:
    """Writes a tiny CLIP as open_clip reads it with `local-dir:`; `changes` are of its configuration."""
    import open_clip
    from safetensors.torch import save_file

    torch.manual_seed(1)
    model = {**OPEN_CLIP, **changes}
    kind = open_clip.CustomTextCLIP if model.get("custom_text") else open_clip.CLIP
    network: Any = _stirred(kind(**{key: value for key, value in model.items() if key != "custom_text"}))
    folder.mkdir(parents=True, exist_ok=True)
    save_file({key: value.contiguous() for key, value in network.state_dict().items()}, folder / "open_clip_model.safetensors")
    preprocessing = {"mean": [0.48, 0.46, 0.41], "std": [0.27, 0.26, 0.28], **(preprocess or {})}
    content = {"model_cfg": model, "preprocess_cfg": preprocessing}
    (folder / "open_clip_config.json").write_text(json.dumps(content))
    return folder


def into_cache(folder: Path, repository: str, cache: Path, revision: str = "0123abcd" * 5) -> Path:
    """Moves a folder into a cache of the Hugging Face hub, as a snapshot of a repository."""
    place = cache / f"models--{repository.replace('/', '--')}"
    (place / "refs").mkdir(parents=True)
    (place / "snapshots").mkdir()
    (place / "refs/main").write_text(revision)
    folder.rename(place / "snapshots" / revision)
    return place / "snapshots" / revision


def _stirred(network: nn.Module) -> nn.Module:
    """The network with every weight and statistic moved, so that none is at its initial value."""
    with torch.no_grad():
        for name, tensor in [*network.named_parameters(), *network.named_buffers()]:
            if tensor.is_floating_point() and "running_var" not in name and "rope" not in name:
                tensor.add_(torch.randn_like(tensor) * 0.05)
    return network.eval()
