"""CutMix."""

import torch

from cxrlt_cli.tricks.cutmix import cut_box, cutmix


def test_the_box_and_its_share_of_the_labels() -> None:
    images = torch.arange(2.0).view(2, 1, 1, 1).expand(2, 1, 8, 8)
    targets, label_mask = torch.tensor([[1.0, 0.0], [0.0, 0.0]]), torch.tensor([[True, True], [True, False]])
    mixed, labels, sure = cutmix(images, targets, label_mask, torch.tensor([1, 0]), (2, 6, 4, 8))
    assert mixed[0, 0, 2:6, 4:8].eq(1).all()
    assert mixed[0].sum() == 16, "a quarter of the pixels"
    assert labels.tolist() == [[0.75, 0.0], [0.25, 0.0]]
    assert sure.tolist() == [[True, False], [True, False]]
    assert images.sum() == 64, "the batch itself is not changed"


def test_boxes_have_the_area_that_was_drawn_and_end_at_the_border() -> None:
    assert cut_box(100, 0.75, (0.5, 0.5)) == (25, 75, 25, 75)
    assert cut_box(100, 0.75, (0.0, 1.0)) == (0, 25, 75, 100)
    assert cut_box(100, 1.0, (0.3, 0.3)) == (30, 30, 30, 30)
