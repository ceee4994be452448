"""Gradient checkpointing against the network that keeps everything."""

import copy

import pytest
import torch

from cxrlt_cli.model.encoder import VisualEncoder
from cxrlt_cli.model.gradient_checkpointing import checkpoint_blocks


def _kept(encoder: VisualEncoder, images: torch.Tensor) -> int:
    """Bytes of activations that a forward pass keeps, then its gradients are computed."""
    parameters = {parameter.data_ptr() for parameter in encoder.parameters()}
    sizes: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.data_ptr() not in parameters:
            sizes[tensor.data_ptr()] = tensor.numel() * tensor.element_size()
        return tensor

    torch.manual_seed(1)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        features = encoder(images)
    kept = sum(sizes.values())
    features.square().mean().backward()
    return kept


@pytest.mark.parametrize(("name", "least"), [("resnet18", 1.8), ("densenet121", 3), ("convnext_tiny", 3)])
def test_gradients_and_statistics_stay_and_memory_falls(name: str, least: float) -> None:
    torch.manual_seed(0)
    plain = VisualEncoder(name, drop_path=0.2 if name == "convnext_tiny" else 0.0).train()
    saving = copy.deepcopy(plain)
    checkpoint_blocks(saving)
    images = torch.randn(2, 1, 64, 64)
    whole, part = _kept(plain, images), _kept(saving, images)
    assert part * least < whole
    for (key, expected), found in zip(plain.named_parameters(), saving.parameters(), strict=True):
        assert expected.grad is not None, key
        assert found.grad is not None, key
        assert torch.allclose(found.grad, expected.grad, rtol=1e-4, atol=1e-6), key
    for key, buffer in plain.named_buffers():
        assert torch.equal(buffer, saving.get_buffer(key)), key
    with torch.inference_mode():
        assert torch.equal(plain.eval()(images), saving.eval()(images))
