"""Networks of torchxrayvision: torchvision's DenseNet and ResNet with one input channel and values of -1024 to 1024.

`cxrlt fetch` has torchxrayvision download and read its files, and keeps the weights as safetensors in torch's cache; training
and prediction do not need torchxrayvision.
"""

from pathlib import Path
from typing import Any

from torch import Tensor

from cxrlt_cli.errors import UserError, reason
from cxrlt_cli.paths import is_file

_HIGHEST = 1024.0  # torchxrayvision.utils.normalize: (2 * gray / largest - 1) * 1024


def read(name: str) -> tuple[dict[str, Any], list[float], list[float], bool]:
    """The torchvision network of a name such as densenet121-res224-all, and mean and std of a gray value of 0..1."""
    network = name.partition("-")[0]
    if network not in ("densenet121", "resnet50", "resnet101"):
        raise UserError(
            f"torchxrayvision has no encoder {name!r}", "as in xrv:densenet121-res224-all or xrv:resnet50-res512-all"
        )
    return {"network": network}, [0.5], [0.5 / _HIGHEST], True


def weights(name: str) -> dict[str, Tensor]:
    """The weights under torchvision's names. Raises UserError where they were not fetched, or are damaged."""
    from safetensors.torch import load_file

    path = required_weights(name)
    try:
        return load_file(path)
    except Exception as error:
        raise UserError(f"{path} is damaged: {reason(error)}", "delete it and fetch it again") from error


def required_weights(name: str) -> Path:
    """The file of the weights. Raises UserError where they were not fetched."""
    path = weights_file(name)
    if not is_file(path):
        raise UserError(
            f"the weights of xrv:{name} are not on this machine ({path})",
            f"on a machine with internet: cxrlt fetch --backbone xrv:{name}",
        )
    return path


def weights_file(name: str) -> Path:
    """Where `cxrlt fetch` puts the weights: torch's cache (TORCH_HOME moves it)."""
    import torch

    return Path(torch.hub.get_dir()) / "checkpoints" / f"xrv-{name}.safetensors"
