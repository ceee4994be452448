"""The one reduction."""

import torch

from cxrlt_cli.tricks.masked_mean import masked_mean

LOSSES = torch.tensor([[1.0, 2.0], [3.0, float("nan")]])
KNOWN = torch.tensor([[True, True], [True, False]])


def test_unknown_labels_add_nothing_not_even_nan() -> None:
    assert masked_mean(LOSSES, KNOWN) == 2.0


def test_unknown_labels_have_no_gradient() -> None:
    losses = torch.ones(2, 2, requires_grad=True)
    masked_mean(losses, KNOWN).backward()
    assert losses.grad is not None
    assert torch.allclose(losses.grad, KNOWN.float() / 3)


def test_a_factor_on_a_class_is_a_factor_on_its_loss() -> None:
    assert masked_mean(LOSSES, KNOWN, torch.tensor([3.0, 1.0])) == (3 + 2 + 9) / 3


def test_weights_of_one_change_nothing() -> None:
    assert torch.equal(masked_mean(LOSSES, KNOWN, torch.ones(2)), masked_mean(LOSSES, KNOWN))


def test_nothing_known_is_zero() -> None:
    assert masked_mean(LOSSES, torch.zeros(2, 2, dtype=torch.bool)) == 0.0
