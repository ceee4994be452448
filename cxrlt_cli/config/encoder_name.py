"""Grammar of `cxrlt train --encoder`: from which library an image encoder comes, and where its files are."""

import re
from dataclasses import dataclass
from typing import Literal

from cxrlt_cli.errors import UserError

Library = Literal["torchvision", "timm", "transformers", "open_clip", "xrv"]
ENCODER_FORMS = (
    "hf:OWNER/NAME, timm:NAME, timm:hf-hub:OWNER/NAME, timm:local-dir:PATH, open_clip:hf-hub:OWNER/NAME, "
    "open_clip:local-dir:PATH, xrv:NAME, a folder (./NAME) or a network of torchvision"
)
_REPOSITORY = re.compile(r"[\w.-]+(/[\w.-]+)?")


@dataclass(frozen=True)
class EncoderName:
    """The value of `--encoder`.

    Attributes:
        text: as it was given.
        library: the library that builds the network. `xrv` is torchxrayvision.
        place: `name`: built in; `hub`: a repository of the Hugging Face hub; `folder`: a local folder.
        source: the network's name, the repository, or the folder.
    """

    text: str
    library: Library
    place: Literal["name", "hub", "folder"]
    source: str

    @property
    def published(self) -> bool:
        """Whether network, preprocessing and weights come together, so that the name alone describes all three."""
        return self.place != "name" or self.library == "xrv"

    @property
    def short(self) -> str:
        """The last part of the name, for the name of a run."""
        return re.split(r"[:/]", self.text.rstrip("/"))[-1]


def parse_encoder(text: str) -> EncoderName:
    """Reads the value of `--encoder`. Raises UserError where it has none of the forms of `ENCODER_FORMS`."""
    library, _, rest = text.partition(":")
    if "/" in library or not rest:
        return _without_prefix(text)
    if library == "hf":
        return EncoderName(text, "transformers", "hub", _repository(text, rest))
    if library == "xrv":
        return EncoderName(text, "xrv", "name", rest)
    if library not in ("timm", "open_clip"):
        raise UserError(f"unknown --encoder {text!r}: it starts with {library}:", f"give {ENCODER_FORMS}")
    place, _, source = rest.partition(":")
    known: Library = "timm" if library == "timm" else "open_clip"
    if place in ("hf-hub", "hf_hub") and source:
        return EncoderName(text, known, "hub", _repository(text, source))
    if place == "local-dir" and source:
        return EncoderName(text, known, "folder", source)
    if known == "timm" and not source:
        return EncoderName(text, known, "name", rest)
    raise UserError(f"unknown --encoder {text!r}", f"give {library}:hf-hub:OWNER/NAME or {library}:local-dir:PATH")


def _without_prefix(text: str) -> EncoderName:
    if "/" in text or text.startswith("~"):
        return EncoderName(text, "transformers", "folder", text)
    return EncoderName(text, "torchvision", "name", text.rstrip(":"))


def _repository(text: str, name: str) -> str:
    if not _REPOSITORY.fullmatch(name) or name.startswith("."):
        raise UserError(
            f"--encoder {text}: {name!r} is not a name on the Hugging Face hub",
            "give OWNER/NAME; a folder of transformers is given without hf:, one of timm as timm:local-dir:PATH",
        )
    return name
