"""ImageNet weights of torchvision's networks, from torch's local cache."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlparse

from cxrlt_cli.errors import UserError, nearest, reason

#: The weights that are not torchvision's first of a network.
_NAMES = {
    "resnet50": "IMAGENET1K_V2",
}


def _url(name: str) -> str:
    import torchvision

    from cxrlt_cli.model.encoder import encoder_names

    if name not in encoder_names():
        raise UserError(
            f"torchvision has no ImageNet weights of {name!r}{nearest(name, encoder_names())}", "name a file of weights"
        )
    weights = torchvision.models.get_model_weights(name)
    return str((weights[_NAMES[name]] if name in _NAMES else weights.IMAGENET1K_V1).url)


def _cached(url: str) -> Path:
    import torch

    return Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(url).path).name


def imagenet_file(name: str) -> Path:
    """The local file of a network's ImageNet weights. Raises UserError where it was not fetched."""
    path = _cached(_url(name))
    if not path.is_file():
        raise UserError(
            f"the ImageNet weights of {name} are not on this machine ({path})",
            f"on a machine with internet: cxrlt fetch --backbone {name}; or start from nothing: --weights none",
        )
    return path


def fetch_imagenet(name: str) -> Path:
    """Downloads a network's ImageNet weights to torch's cache, checked by the hash in their name.

    Raises:
        UserError: the network cannot be reached, or the file is not what it should be.
    """
    import torch

    url = _url(name)
    path = _cached(url)
    try:
        with _impatient():
            torch.hub.load_state_dict_from_url(url, map_location="cpu", progress=False, check_hash=True, weights_only=True)
    except Exception as error:
        if path.exists():  # torch takes a file that is there unseen: its name's hash is checked on the way in alone
            raise UserError(f"{path} is damaged: {reason(error)}", "delete it and run this again") from error
        raise UserError(
            f"{name}'s weights cannot be fetched: {reason(error)}", f"run this where {url} can be reached"
        ) from error
    return path


@contextmanager
def _impatient(seconds: float = 20) -> Iterator[None]:
    """Connections that are silent for so long end: torch's download itself would wait for ever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
