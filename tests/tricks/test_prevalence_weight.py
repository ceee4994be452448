import math

import torch

from cxrlt_cli.tricks.prevalence_weight import prevalence_weights


def test_worked_by_hand() -> None:
    found = prevalence_weights(torch.tensor([[1.0, 0.0], [0.0, 0.5]]), torch.tensor([0.1, 0.6]))
    expected = [[math.exp(0.9), math.exp(0.6)], [math.exp(0.1), (math.exp(0.4) + math.exp(0.6)) / 2]]
    assert torch.allclose(found, torch.tensor(expected))


def test_a_rare_positive_weighs_most() -> None:
    p = torch.tensor([0.001, 0.1, 0.5])
    positive, negative = prevalence_weights(torch.eye(2)[:, :1].expand(2, 3), p)
    assert (positive.diff() < 0).all()
    assert (negative.diff() > 0).all()
    assert torch.isclose(positive[2], negative[2])
