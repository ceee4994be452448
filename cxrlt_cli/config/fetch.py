"""Options of `cxrlt fetch`."""

from dataclasses import dataclass

from cxrlt_cli.config.encoder_name import parse_encoder
from cxrlt_cli.errors import UserError
from cxrlt_cli.options import flag


@dataclass(frozen=True)
class FetchConfig:
    """Download text encoders, image encoders and ImageNet weights; needs internet.

    All other commands work offline. Files go to the caches of Hugging Face (HF_HOME) and torch (TORCH_HOME), where compute
    nodes read them.
    """

    encoder: tuple[str, ...] = flag((), "Text encoder, as for cxrlt embed-labels; may be repeated.", metavar="NAME")
    backbone: tuple[str, ...] = flag(
        (),
        "Image encoder, as for cxrlt train: hf:OWNER/NAME, timm:hf-hub:OWNER/NAME, open_clip:hf-hub:OWNER/NAME, xrv:NAME, or a "
        "torchvision network for its ImageNet weights, as resnet50; may be repeated.",
        metavar="NAME",
    )
    accept_licence: bool = flag(
        False, "Also download weights that are gated or licensed for non-commercial use only.", name="--accept-licence"
    )

    def __post_init__(self) -> None:
        if not self.encoder and not self.backbone:
            raise UserError("nothing to fetch: give --encoder, --backbone or both", "as in: cxrlt fetch --backbone resnet50")
        for name in self.backbone:
            parse_encoder(name)
