"""Label smoothing."""

import torch

from cxrlt_cli.tricks.label_smoothing import smoothed


def test_by_hand() -> None:
    torch.testing.assert_close(smoothed(torch.tensor([0.0, 1.0, 0.5]), 0.1), torch.tensor([0.05, 0.95, 0.5]))
