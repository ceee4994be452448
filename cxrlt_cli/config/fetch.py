"""Options of `cxrlt fetch`."""

from dataclasses import dataclass

from cxrlt_cli.errors import UserError
from cxrlt_cli.options import flag


@dataclass(frozen=True)
class FetchConfig:
    """Download encoders and weights, where there is internet.

    Every other command works offline. Files go to the caches of Hugging Face (moved by HF_HOME) and torch (moved by
    TORCH_HOME), where compute nodes read them.
    """

    encoder: tuple[str, ...] = flag((), "A text encoder, as in embed-labels; may be repeated.", metavar="NAME")
    backbone: tuple[str, ...] = flag(
        (),
        "A visual encoder of torchvision, for `train --weights auto` or `imagenet`, as resnet50; may be repeated.",
        metavar="NAME",
    )

    def __post_init__(self) -> None:
        if not self.encoder and not self.backbone:
            raise UserError("fetch what?", "--encoder NAME, --backbone NAME, or both; as in: cxrlt fetch --backbone resnet50")
