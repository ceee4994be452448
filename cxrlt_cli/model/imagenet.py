"""ImageNet weights of torchvision's networks, from torch's local cache."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlparse

from cxrlt_cli.errors import UserError, nearest, reason
from cxrlt_cli.paths import exists, is_file

#: Networks whose weights are not torchvision's first version.
_NAMES = {
    "resnet50": "IMAGENET1K_V2",
}


def _url(name: str) -> str:
    from cxrlt_cli.model.encoder import encoder_names, torchvision

    if name not in encoder_names():
        raise UserError(
            f"torchvision has no ImageNet weights for {name!r}{nearest(name, encoder_names())}", "name a file of weights"
        )
    weights = torchvision.models.get_model_weights(name)
    return str((weights[_NAMES[name]] if name in _NAMES else weights.IMAGENET1K_V1).url)


def _cached(url: str) -> Path:
    import torch

    return Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(url).path).name


def imagenet_file(name: str) -> Path:
    """Local file of a network's ImageNet weights. Raises UserError if it was not fetched."""
    path = _cached(_url(name))
    if not is_file(path):
        raise UserError(
            f"the ImageNet weights of {name} are not on this machine ({path})",
            f"on a machine with internet: cxrlt fetch --backbone {name}; or train from random weights: --weights none",
        )
    return path


def fetch_imagenet(name: str) -> Path:
    """Downloads a network's ImageNet weights to torch's cache and checks the hash in their file name.

    Raises:
        UserError: the server cannot be reached, or the file fails its hash check.
    """
    import torch

    url = _url(name)
    path = _cached(url)
    try:
        with _download_timeout():
            torch.hub.load_state_dict_from_url(url, map_location="cpu", progress=False, check_hash=True, weights_only=True)
    except Exception as error:
        if exists(path):  # torch checks the hash only while downloading, not of an existing file
            raise UserError(f"{path} is damaged: {reason(error)}", "delete it and rerun") from error
        raise UserError(
            f"{name}'s weights cannot be fetched: {reason(error)}", f"run this on a machine that can reach {url}"
        ) from error
    return path


@contextmanager
def _download_timeout(seconds: float = 20) -> Iterator[None]:
    """Sets the timeout of connections; torch's download would wait forever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
