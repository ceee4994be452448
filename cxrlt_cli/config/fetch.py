"""Options of `cxrlt fetch`."""

from dataclasses import dataclass

from cxrlt_cli.errors import UserError
from cxrlt_cli.options import flag


@dataclass(frozen=True)
class FetchConfig:
    """Download text encoders and ImageNet weights; needs internet.

    All other commands work offline. Files go to the caches of Hugging Face (HF_HOME) and torch (TORCH_HOME), where compute
    nodes read them.
    """

    encoder: tuple[str, ...] = flag((), "Text encoder, as for cxrlt embed-labels; may be repeated.", metavar="NAME")
    backbone: tuple[str, ...] = flag(
        (), "torchvision encoder whose ImageNet weights to download, as resnet50; may be repeated.", metavar="NAME"
    )

    def __post_init__(self) -> None:
        if not self.encoder and not self.backbone:
            raise UserError("nothing to fetch: give --encoder, --backbone or both", "as in: cxrlt fetch --backbone resnet50")
