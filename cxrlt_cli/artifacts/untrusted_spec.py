"""Checks the architecture in a file of unknown origin before a network is built from it."""

from collections.abc import Iterator
from typing import Any

_LEAST = 4096  # a number up to this one may stand in an architecture without a tensor of that side
_COUNTS = ("layers", "num_hidden_layers", "depth", "depths")
_NAMES = ("id2label", "label2id")  # of the classes of another task, which build nothing
_LOADING = ("pretrained", "checkpoint_path", "use_pretrained_backbone", "backbone", "auto_map", "timm_model_pretrained")


def check_spec(spec: dict[str, Any], tensors: dict[str, Any]) -> None:
    """Checks that building the network takes no more memory than its weights suggest, and loads no other file.

    Args:
        spec: the architecture, the saved form of `model.network.NetworkSpec`.
        tensors: name -> weights of the network.

    Raises:
        ValueError: a number is larger than any side of the weights, more layers than tensors, or an option that makes a library
            load weights from elsewhere.
    """
    sides = [side for tensor in tensors.values() if tensor.numel() for side in tensor.shape]
    most = max([_LEAST, *sides])
    for key, value in _numbers(spec, "spec"):
        name = key.rpartition(".")[2]
        if name in _LOADING and value:
            raise ValueError(f"{key} makes a library load other weights")
        limit = len(tensors) if name in _COUNTS else most
        if isinstance(value, int) and value > limit:
            raise ValueError(f"{key} is {value}, and the weights have at most {limit}")


def _numbers(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    """Key -> value of everything in nested objects and lists; an item of a list has the key of the list."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from () if name in _NAMES else _numbers(item, f"{key}.{name}")
    elif isinstance(value, list):
        for item in value:
            yield from _numbers(item, key)
    else:
        yield key, value
