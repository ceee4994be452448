"""The stage `fetch`: the only one that uses the internet."""

from fnmatch import fnmatch
from pathlib import Path

from cxrlt_cli.config.fetch import FetchConfig
from cxrlt_cli.console import say
from cxrlt_cli.errors import UserError, listed, reason
from cxrlt_cli.model.imagenet import fetch_imagenet
from cxrlt_cli.results import FetchedFiles
from cxrlt_cli.text.encoders import HUB_NAMES
from cxrlt_cli.workspace import Workspace

_FILES = ["*.json", "*.txt", "*.model"]


def fetch_files(config: FetchConfig, _workspace: Workspace) -> FetchedFiles:
    """Downloads what the options name.

    Raises:
        UserError: the hub cannot be reached, or the repository does not exist.
    """
    files: dict[str, Path] = {}
    for name in config.encoder:
        if name == "ngram":
            say("ngram is built in: nothing to fetch")
            continue
        files[name] = _fetch_encoder(HUB_NAMES.get(name, name))
        say(f"{name}: {files[name]} (HF_HOME moves it)")
    for backbone in config.backbone:
        files[backbone] = fetch_imagenet(backbone)
        say(f"{backbone}: {files[backbone]} (TORCH_HOME moves it)")
    return FetchedFiles(files)


def _fetch_encoder(hub_name: str) -> Path:
    """Downloads configuration, tokenizer and one file format of the weights."""
    from huggingface_hub import HfApi, snapshot_download

    hint = "run this on a machine that can reach the Hugging Face hub"
    try:
        names = [file.rfilename for file in HfApi().model_info(hub_name, timeout=20).siblings or []]
    except Exception as error:
        raise UserError(f"{hub_name} cannot be fetched: {reason(error)}", hint) from error
    weights = _weights(hub_name, names)
    try:
        return Path(snapshot_download(hub_name, allow_patterns=[*_FILES, weights], etag_timeout=20))
    except Exception as error:
        raise UserError(f"{hub_name} cannot be fetched: {reason(error)}", hint) from error


def _weights(hub_name: str, names: list[str]) -> str:
    """File pattern of the weights: safetensors if the repository has them.

    Raises:
        UserError: the repository has no weights that torch can read.
    """
    for pattern in ("*.safetensors", "pytorch_model*.bin"):
        if any(fnmatch(name, pattern) for name in names):
            return pattern
    others = [name for name in names if name.endswith((".msgpack", ".h5", ".onnx", ".bin"))]
    raise UserError(
        f"{hub_name} has no weights for PyTorch (found: {listed(others) or 'none'})",
        "name a local folder with model.safetensors or pytorch_model.bin instead: cxrlt embed-labels --encoder FOLDER",
    )
