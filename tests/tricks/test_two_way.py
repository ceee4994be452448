"""Two-way loss."""

import math

import torch

from cxrlt_cli.tricks.two_way import two_way


def test_by_hand() -> None:
    """Image 0 has label 0 and not 1, image 1 the reverse: each way compares one positive with one negative."""
    logits = torch.tensor([[2.0, -1.0], [0.5, 1.0]])
    targets = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    losses, sound = two_way(logits, targets, torch.ones(2, 2, dtype=torch.bool), temperature=4.0)
    assert sound.all()
    pairs = [(2.0, -1.0), (1.0, 0.5), (2.0, 0.5), (1.0, -1.0)]  # (positive, negative) of image 0, image 1, label 0, label 1
    for loss, (positive, negative) in zip(losses.tolist(), pairs, strict=True):
        assert math.isclose(loss, math.log1p(math.exp(negative - positive)), rel_tol=1e-5)


def test_what_has_nothing_to_compare_is_left_out_and_leaves_no_nan() -> None:
    logits = torch.randn(3, 2, requires_grad=True)
    targets, label_mask = torch.tensor([[1.0, 1.0], [0.0, 0.0], [1.0, 0.0]]), torch.ones(3, 2, dtype=torch.bool)
    label_mask[2, 1] = False
    losses, sound = two_way(logits, targets, label_mask, 4.0)
    assert sound.tolist() == [False, False, False, True, True]
    losses[sound].sum().backward()
    assert torch.isfinite(logits.grad).all()
    assert logits.grad[2, 1] == 0, "an unknown label is neither positive nor negative"
