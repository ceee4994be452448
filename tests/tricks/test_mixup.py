"""MixUp by hand."""

import torch

from cxrlt_cli.tricks.mixup import mixup

IMAGES = torch.tensor([0.0, 10.0]).view(2, 1, 1, 1)
TARGETS = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
KNOWN = torch.tensor([[True, True], [True, False]])


def test_images_and_labels_are_mixed_alike() -> None:
    images, targets, label_mask = mixup(IMAGES, TARGETS, KNOWN, 0.7, torch.tensor([1, 0]))
    assert torch.allclose(images.flatten(), torch.tensor([3.0, 7.0]))
    assert torch.allclose(targets, torch.tensor([[0.7, 0.0], [0.3, 0.0]]))
    assert label_mask.tolist() == [[True, False], [True, False]], "known only where both are"


def test_a_whole_share_changes_nothing() -> None:
    images, targets, _ = mixup(IMAGES, TARGETS, KNOWN, 1.0, torch.tensor([1, 0]))
    assert torch.equal(images, IMAGES)
    assert torch.equal(targets, TARGETS)
