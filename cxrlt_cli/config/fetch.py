"""Options of `cxrlt fetch`."""

from dataclasses import dataclass

from cxrlt_cli.errors import UserError, nearest
from cxrlt_cli.options import flag

BACKBONES = ("resnet18", "resnet50", "densenet121")


@dataclass(frozen=True)
class FetchConfig:
    """What is downloaded."""

    encoder: tuple[str, ...] = flag((), "A text encoder, as in embed-labels; may be repeated.", metavar="NAME")
    backbone: tuple[str, ...] = flag(
        (), f"A visual encoder, for `train --weights imagenet`: {', '.join(BACKBONES)}; may be repeated.", metavar="NAME"
    )

    def __post_init__(self) -> None:
        if not self.encoder and not self.backbone:
            raise UserError("fetch what?", "--encoder NAME, --backbone NAME, or both; as in: cxrlt fetch --backbone resnet50")
        for name in self.backbone:
            if name not in BACKBONES:
                raise UserError(
                    f"--backbone: {name!r} is none of ours{nearest(name, BACKBONES)}", f"one of: {', '.join(BACKBONES)}"
                )
