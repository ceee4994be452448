"""Binary cross-entropy."""

import math

import torch

from cxrlt_cli.tricks.bce import bce


def test_by_hand() -> None:
    logits = torch.tensor([[0.0, math.log(3), math.log(3)]])  # p = 1/2, 3/4, 3/4
    targets = torch.tensor([[1.0, 0.0, 0.5]])
    expected = [math.log(2), math.log(4), -(math.log(0.75) + math.log(0.25)) / 2]
    assert torch.allclose(bce(logits, targets), torch.tensor([expected]))


def test_far_logits_stay_finite() -> None:
    assert torch.equal(bce(torch.tensor([[1000.0, -1000.0]]), torch.tensor([[0.0, 1.0]])), torch.tensor([[1000.0, 1000.0]]))
