"""Logit adjustment."""

import torch

from cxrlt_cli.tricks.logit_adjustment import prior_logits


def test_by_hand() -> None:
    found = prior_logits(torch.tensor([50, 10, 0, 100]), torch.tensor([100, 100, 100, 100]), 2.0)
    expected = 2.0 * torch.tensor([0.5, 0.1, 0.005, 0.995], dtype=torch.float64).logit()
    torch.testing.assert_close(found, expected)


def test_a_class_that_nobody_labels_is_finite() -> None:
    assert torch.isfinite(prior_logits(torch.tensor([0]), torch.tensor([0]), 1.0)).all()
