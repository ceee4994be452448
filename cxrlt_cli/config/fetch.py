"""Options of `cxrlt fetch`."""

from dataclasses import dataclass
from typing import Literal

from cxrlt_cli.errors import UserError
from cxrlt_cli.options import flag


@dataclass(frozen=True)
class FetchConfig:
    """What is downloaded."""

    encoder: tuple[str, ...] = flag((), "A text encoder, as in embed-labels; may be repeated.", metavar="NAME")
    backbone: tuple[Literal["resnet18", "resnet50", "densenet121"], ...] = flag(
        (), "A visual encoder, for `train --weights imagenet`; may be repeated."
    )

    def __post_init__(self) -> None:
        if not self.encoder and not self.backbone:
            raise UserError(
                "fetch what?", "--encoder NAME or --backbone NAME, as in cxrlt fetch --encoder pubmedbert --backbone resnet50"
            )
