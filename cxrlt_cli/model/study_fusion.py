"""Learned fusion of the images of a study: attention over their label features.

For each label, the features of a study are a weighted mean of the features of its images. The weights are the gated attention
pooling of Ilse, Tomczak and Welling (ICML 2018), with one attention vector per label:

    a_kc = w_c . (tanh(V f_kc) * sigmoid(U f_kc)),  weight_kc = exp(a_kc) / sum over the study's images of exp(a),
    f_c = sum over the study's images of weight_kc f_kc

CheXFusion (Park, ICCV CVAMD 2023), the winner of CXR-LT 2023, uses a transformer over the image features of up to four views
instead. Here the result does not depend on the order or number of images, nor on other studies. The w_c start at 0, so that
untrained fusion is the mean of the features, which for linear classifiers equals the mean of the images' logits.
"""

from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cxrlt_cli.errors import UserError, reason
from cxrlt_cli.model.network import Network


class StudyFusion(nn.Module):
    """Label features of images to logits of their studies."""

    def __init__(self, classes: int, width: int, classifier: nn.Module, hidden: int = 64) -> None:
        """Builds the attention; the classifiers start as a copy of the network's."""
        super().__init__()
        self.value = nn.Linear(width, hidden)
        self.gate = nn.Linear(width, hidden)
        self.attention = nn.Parameter(torch.zeros(classes, hidden))
        self.classifier = deepcopy(classifier)

    def image_weights(self, features: Tensor, studies: Tensor) -> Tensor:
        """(S, B, C) weight of each image in each study, exactly 0 for images of other studies; see `forward`."""
        asked = torch.tanh(self.value(features)) * torch.sigmoid(self.gate(features))
        scores = torch.einsum("bch,ch->bc", asked, self.attention)
        inside = studies == torch.arange(int(studies.max()) + 1, device=studies.device)[:, None]  # (S, B)
        return scores.masked_fill(~inside[:, :, None], -torch.inf).softmax(dim=1)

    def forward(self, features: Tensor, studies: Tensor) -> Tensor:
        """(B, C, width) label features of images, (B,) study numbers 0 … S - 1, to (S, C) logits of the studies."""
        fused = torch.einsum("sbc,bcw->scw", self.image_weights(features, studies), features)
        logits: Tensor = self.classifier(fused)
        return logits


def fusion_from(checkpoint: dict[str, Any], network: Network, path: Path, device: torch.device) -> StudyFusion | None:
    """The fusion module of a checkpoint in evaluation mode; None if it has none. Raises UserError if it is damaged."""
    if "fusion" not in checkpoint:
        return None
    try:
        spec, state = checkpoint["spec"], checkpoint["fusion"]
        fusion = StudyFusion(spec["classes"], network.label_width, network.classifier)
        fusion.load_state_dict(state)
    except (KeyError, TypeError, RuntimeError) as error:
        raise UserError(f"{path}: the fusion weights do not fit: {reason(error)}", "rerun cxrlt fuse --overwrite") from error
    return fusion.to(device).eval()
