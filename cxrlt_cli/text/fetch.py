"""The stage `fetch`: the only one that uses the internet."""

from pathlib import Path

from cxrlt_cli.config.encoder_name import parse_encoder
from cxrlt_cli.config.fetch import FetchConfig
from cxrlt_cli.console import say
from cxrlt_cli.encoders.fetch import fetch_published, fetch_repository
from cxrlt_cli.model.imagenet import fetch_imagenet
from cxrlt_cli.results import FetchedFiles
from cxrlt_cli.text.encoders import HUB_NAMES
from cxrlt_cli.workspace import Workspace


def fetch_files(config: FetchConfig, _workspace: Workspace) -> FetchedFiles:
    """Downloads what the options name.

    Raises:
        UserError: the hub cannot be reached, the repository does not exist, or its terms were not accepted.
    """
    files: dict[str, Path] = {}
    for name in config.encoder:
        if name == "ngram":
            say("ngram is built in: nothing to fetch")
            continue
        files[name] = fetch_repository(HUB_NAMES.get(name, name), accept_licence=config.accept_licence)
        say(f"{name}: {files[name]} (HF_HOME moves it)")
    for backbone in config.backbone:
        parsed = parse_encoder(backbone)
        if parsed.library == "torchvision":
            files[backbone] = fetch_imagenet(backbone)
        else:
            files[backbone] = fetch_published(parsed, accept_licence=config.accept_licence)
        moved = "HF_HOME" if parsed.place == "hub" else "TORCH_HOME"
        say(f"{backbone}: {files[backbone]} ({moved} moves it)")
    return FetchedFiles(files)
