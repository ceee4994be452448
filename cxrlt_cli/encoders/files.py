"""Finds the files of a published encoder on this machine. Nothing is downloaded."""

import json
from pathlib import Path
from typing import Any

from cxrlt_cli.config.encoder_name import EncoderName
from cxrlt_cli.errors import UserError, reason
from cxrlt_cli.paths import is_file, is_folder


def encoder_folder(name: EncoderName) -> Path:
    """The folder of an encoder: a local one, or the newest snapshot in the hub's cache.

    Raises:
        UserError: it is not there; for a name on the hub the hint is the command that fetches it.
    """
    if name.place == "folder":
        folder = Path(name.source).expanduser()
        if not is_folder(folder):
            raise UserError(f"{name.text}: there is no folder {folder}", "name one that holds config.json and weights")
        return folder
    found = hub_snapshot(name.source)
    if found is None:
        raise UserError(
            f"the encoder {name.text} is not on this machine",
            f"on a machine with internet: cxrlt fetch --backbone {name.text}",
        )
    return found


def hub_snapshot(repository: str) -> Path | None:
    """The newest snapshot of a repository in the hub's local cache, None where there is none."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(repository, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError, OSError, ValueError):
        return None


def required_file(folder: Path, names: tuple[str, ...]) -> Path:
    """The first of some files that a folder has. Raises UserError where it has none of them."""
    for name in names:
        if is_file(folder / name):
            return folder / name
    raise UserError(
        f"{folder} lacks {' or '.join(names)}", "fetch the encoder again: cxrlt fetch --backbone, or name another folder"
    )


def read_config(folder: Path, name: str) -> dict[str, Any]:
    """A JSON file of an encoder. Raises UserError where it is not there or does not hold a JSON object."""
    path = required_file(folder, (name,))
    hint = "fetch the encoder again with cxrlt fetch --backbone, or name another folder"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as JSON: {reason(error)}", hint) from error
    if not isinstance(content, dict):
        raise UserError(f"{path} does not hold a JSON object", hint)
    return content
