import torch

from cxrlt_cli.tricks.random_erasing import LARGEST, LEAST, NARROWEST, erase, erasing_boxes


def test_worked_by_hand() -> None:
    middle = torch.tensor([0.5])
    boxes = erasing_boxes(middle, middle, torch.tensor([[0.0, 1.0]]), 100)  # 21 % of 100 x 100: a square of 45.8 px
    assert boxes.tolist() == [[0, 46, 54, 100]]
    image = torch.ones(1, 1, 100, 100)
    found = erase(image, boxes, 0.25)
    assert (found[0, 0, :46, 54:] == 0.25).all()
    assert found.sum() == 10000 - 46 * 46 * 0.75
    assert image.sum() == 10000  # the image given is left as it was


def test_boxes_lie_within_and_have_the_papers_sizes() -> None:
    draws = torch.rand(4, 2000, generator=torch.Generator().manual_seed(0))
    boxes = erasing_boxes(draws[0], draws[1], draws[2:].T, 200)
    top, bottom, left, right = boxes.T
    assert (top >= 0).all()
    assert (left >= 0).all()
    assert (bottom <= 200).all()
    assert (right <= 200).all()
    share, ratio = (bottom - top) * (right - left) / 200**2, (bottom - top) / (right - left)
    assert LEAST * 0.9 < share.min() < 0.03
    assert 0.35 < share.max() <= LARGEST * 1.02
    assert NARROWEST * 0.9 < ratio.min() < 0.35
    assert 2.8 < ratio.max() < 1.1 / NARROWEST


def test_each_image_has_its_own_box() -> None:
    boxes = torch.tensor([[0, 2, 0, 2], [1, 3, 2, 4]])
    found = erase(torch.ones(2, 1, 4, 4), boxes, 0.0)
    assert found[0, 0, :2, :2].sum() == 0
    assert found[1, 0, 1:3, 2:].sum() == 0
    assert found.sum() == 24
