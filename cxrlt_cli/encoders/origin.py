"""Where a published encoder comes from: repository, revision and licence, as the hub or the files name them."""

import hashlib
from pathlib import Path
from typing import Any

from cxrlt_cli.artifacts.origin import ORIGIN_FILE, Origin, read_written
from cxrlt_cli.config.encoder_name import EncoderName
from cxrlt_cli.encoders.files import encoder_folder
from cxrlt_cli.encoders.xrv_models import weights_file
from cxrlt_cli.paths import is_file


def read_origin(name: EncoderName) -> Origin:
    """The origin of a published encoder on this machine, from what `cxrlt fetch` wrote, else from its model card.

    Raises:
        UserError: the encoder is not on this machine.
    """
    if name.place == "name":
        path = weights_file(name.source)
        return read_written(path.with_suffix(".json")) or Origin(name.text, _sha256(path), "")
    folder = encoder_folder(name)
    written = read_written(folder / ORIGIN_FILE)
    if written is not None:
        return written
    card = _card(folder / "README.md")
    gated = any(key.startswith("extra_gated") for key in card)
    if name.place == "hub":
        return origin_of_card(name.source, folder.name, card, gated=gated)
    found = sorted(path for pattern in ("*.safetensors", "*.bin") for path in folder.glob(pattern))
    return origin_of_card(str(folder), _sha256(found[0]) if found else "unknown", card, gated=gated)


def origin_of_card(repository: str, revision: str, card: dict[str, Any], *, gated: bool) -> Origin:
    """The origin that a model card's metadata names.

    Args:
        repository: on the hub, or a local folder.
        revision: of the files.
        card: metadata of README.md: `license`, and for `other` also `license_name` and `license_link`.
        gated: whether terms must be accepted.
    """
    licence = str(card.get("license") or "")
    if licence in ("other", "unknown"):
        more = [str(card[key]) for key in ("license_name", "license_link") if card.get(key)]
        licence = ", ".join([licence, *more])
    return Origin(repository, revision, licence, gated)


def _card(path: Path) -> dict[str, Any]:
    """The metadata of a model card, empty where there is no card or it has none."""
    from huggingface_hub import ModelCard

    if not is_file(path):
        return {}
    try:
        card: Any = ModelCard(path.read_text(encoding="utf-8", errors="replace"), ignore_metadata_errors=True)
        return dict(card.data.to_dict())
    except Exception:  # noqa: BLE001 - a card is written by people
        return {}


def _sha256(path: Path) -> str:
    if not is_file(path):
        return "unknown"
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()[:16]}"
