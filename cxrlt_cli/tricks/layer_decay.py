"""Layer-wise learning-rate decay (ELECTRA: Clark et al., ICLR 2020; BEiT, ConvNeXt): smaller lr in early layers."""

from torch import nn


def lr_scales(network: nn.Module, decay: float) -> dict[str, float]:
    """Parameter name -> factor of the learning rate: decay^(L - l) in layer l of 0 … L - 1.

    A layer is a block of the network's stages: an element of a (nested) sequence or list. Single operations between blocks (a
    stem convolution, a norm) count with the block that follows; those at the end with the last block.

    Args:
        network: a visual encoder; later parts use the full learning rate.
        decay: within 0..1; 1 gives the full learning rate everywhere.
    """
    layers: list[list[str]] = []
    waiting = [name for name, _ in network.named_parameters(recurse=False)]
    for prefix, block in _blocks(network, ""):
        names = [f"{prefix}{name}" for name, _ in block.named_parameters()]
        if next(block.children(), None) is None:
            waiting += names
        elif names:
            layers.append(waiting + names)
            waiting = []
    if not layers:
        layers.append([])
    layers[-1] += waiting
    return {name: decay ** (len(layers) - at) for at, names in enumerate(layers) for name in names}


def _blocks(module: nn.Module, prefix: str) -> list[tuple[str, nn.Module]]:
    found: list[tuple[str, nn.Module]] = []
    for name, child in module.named_children():
        held = _holds_blocks(child) or ("blocks." not in prefix and any(_is_stack(*inner) for inner in child.named_modules()))
        found += _blocks(child, f"{prefix}{name}.") if held else [(f"{prefix}{name}.", child)]
    return found


def _holds_blocks(module: nn.Module) -> bool:
    """Whether a module is a stage: a plain sequence or list, DenseNet's dictionary of layers, or a timm stage."""
    return type(module) in (nn.Sequential, nn.ModuleList) or isinstance(module, nn.ModuleDict) or hasattr(module, "blocks")


def _is_stack(name: str, module: nn.Module) -> bool:
    """Whether a module is the list of a vision transformer's layers, as transformers and open_clip name it."""
    last = name.rpartition(".")[2]
    return isinstance(module, nn.ModuleList) and last in ("layer", "layers", "stages", "resblocks") and len(module) > 0
