"""Downloads published encoders: repositories of the Hugging Face hub, and networks of torchxrayvision."""

from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from cxrlt_cli.artifacts.origin import ORIGIN_FILE, Origin, write_origin
from cxrlt_cli.config.encoder_name import EncoderName
from cxrlt_cli.console import say, warn
from cxrlt_cli.encoders import xrv_models
from cxrlt_cli.encoders.files import hub_snapshot
from cxrlt_cli.encoders.open_clip_models import CONFIG, text_config
from cxrlt_cli.encoders.origin import origin_of_card
from cxrlt_cli.errors import UserError, listed, reason
from cxrlt_cli.paths import is_file

_TEXTS = ("*.json", "*.txt", "*.model", "README.md", "LICENSE*")
#: Formats of weights, the preferred one first; one format is downloaded.
_WEIGHTS = ("*.safetensors", "pytorch_model*.bin", "open_clip_pytorch_model.bin", "model.bin")


def fetch_published(name: EncoderName, *, accept_licence: bool) -> Path:
    """Downloads a published encoder, and writes its repository, revision and licence next to the weights.

    Args:
        name: an encoder on the hub, or of torchxrayvision.
        accept_licence: download weights whose licence is non-commercial or whose repository is gated.

    Raises:
        UserError: a local folder or a network by name, no connection, no such repository, terms that were not accepted, or no
            weights for PyTorch.
    """
    if name.library == "xrv":
        return _fetch_xrv(name)
    if name.place != "hub":
        raise UserError(
            f"--backbone {name.text}: there is nothing to fetch",
            "timm publishes its weights on the hub: cxrlt fetch --backbone timm:hf-hub:timm/NAME.TAG",
        )
    return fetch_repository(name.source, accept_licence=accept_licence)


def fetch_repository(repository: str, *, accept_licence: bool) -> Path:
    """Downloads a repository of the hub: configuration, model card and one format of the weights, at one revision.

    Raises:
        UserError: as `fetch_published`.
    """
    from huggingface_hub import HfApi, snapshot_download

    try:
        info = HfApi().model_info(repository, timeout=20)
    except Exception as error:
        raise _refused(repository, error) from error
    origin = _origin(repository, info)
    if origin.restriction and not accept_licence:
        raise UserError(
            f"{repository} was not fetched: {origin.restriction}",
            f"read the terms at https://huggingface.co/{repository}, then add --accept-licence",
        )
    say(f"{origin.described}")
    if not origin.licence:
        warn(f"{repository} names no licence: ask its authors before you use it")
    files = _files(repository, [file.rfilename for file in info.siblings or []])
    try:
        folder = Path(snapshot_download(repository, allow_patterns=files, etag_timeout=20))
    except Exception as error:
        raise _refused(repository, error) from error
    write_origin(folder / ORIGIN_FILE, replace(origin, revision=folder.name))
    fetch_text_tower(folder)
    return folder


def fetch_text_tower(folder: Path) -> None:
    """Downloads the configuration from which open_clip builds a text tower of transformers; its weights are in the folder.

    Raises:
        UserError: the configuration cannot be fetched, or that of the model is damaged.
    """
    from huggingface_hub import snapshot_download

    text = text_config(folder) if is_file(folder / CONFIG) else None
    needed = text.get("hf_model_name") if text else None
    if needed and hub_snapshot(needed) is None:
        try:
            snapshot_download(needed, allow_patterns=["config.json"], etag_timeout=20)
        except Exception as error:
            raise _refused(needed, error) from error


def _origin(repository: str, info: Any) -> Origin:
    card = info.card_data.to_dict() if info.card_data else {}
    return origin_of_card(repository, str(info.sha), card, gated=bool(info.gated))


def _files(repository: str, names: list[str]) -> list[str]:
    """The files to download: those at the top of the repository, of the weights one format."""
    top = [name for name in names if "/" not in name]
    texts = [name for name in top if any(fnmatch(name, pattern) for pattern in _TEXTS)]
    for pattern in _WEIGHTS:
        found = [name for name in top if fnmatch(name, pattern)]
        if found:
            return [*texts, *found]
    others = [name for name in names if name.endswith((".msgpack", ".h5", ".onnx", ".bin", ".pt", ".pth"))]
    raise UserError(
        f"{repository} has no weights for PyTorch (found: {listed(others) or 'none'})",
        "name a local folder with model.safetensors or pytorch_model.bin instead",
    )


def _refused(repository: str, error: Exception) -> UserError:
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    page = f"https://huggingface.co/{repository}"
    if isinstance(error, GatedRepoError):
        return UserError(
            f"{repository} is gated: the hub gives it only to users who accepted its terms",
            f"accept them at {page}, log in with `hf auth login`, then run this again",
        )
    if isinstance(error, RepositoryNotFoundError):
        return UserError(f"the hub has no repository {repository}, or you may not see it", f"see {page}")
    hint = "run this on a machine that can reach the Hugging Face hub"
    return UserError(f"{repository} cannot be fetched: {reason(error)}", hint)


def _fetch_xrv(name: EncoderName) -> Path:
    """Has torchxrayvision download and read its file, and keeps the weights of the network as safetensors."""
    from importlib.metadata import metadata, version

    from safetensors.torch import save_file

    xrv_models.read(name.source)
    try:
        import torchxrayvision
    except ImportError as error:
        raise UserError(f"{name.text} needs torchxrayvision: {reason(error)}", "pip install 'cxrlt[xrv]'") from None
    if name.source not in torchxrayvision.models.model_urls:
        known = [key for key in torchxrayvision.models.model_urls if key.startswith(("densenet", "resnet"))]
        raise UserError(f"torchxrayvision has no weights {name.source!r}", f"it has {listed(known, 20)}")
    try:
        network = torchxrayvision.models.get_model(name.source)
    except Exception as error:
        raise UserError(
            f"{name.text} cannot be fetched: {reason(error)}", "run this on a machine that can reach github.com"
        ) from error
    state = network.model.state_dict() if hasattr(network, "model") else network.features.state_dict()
    path = xrv_models.weights_file(name.source)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({key: value.contiguous() for key, value in state.items()}, path)
    about: Any = metadata("torchxrayvision")
    classified = [line.rpartition("::")[2].strip() for line in about.get_all("Classifier") or [] if line.startswith("License")]
    licence = str(about.get("License") or ", ".join(classified))
    address = torchxrayvision.models.model_urls[name.source]["weights_url"]
    origin = Origin(address, f"torchxrayvision {version('torchxrayvision')}", licence)
    write_origin(path.with_suffix(".json"), origin)
    say(origin.described)
    return path
