"""Mosaic."""

import torch

from cxrlt_cli.tricks.mosaic import mosaic


def test_four_images_and_the_findings_of_all() -> None:
    images = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 1, 6, 6)
    targets = torch.tensor([[1.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 1.0]])
    label_mask = torch.ones(4, 2, dtype=torch.bool)
    label_mask[1] = False
    partners = torch.stack([torch.tensor([(i + step) % 4 for i in range(4)]) for step in (1, 2, 3)])
    whole, seen, sure = mosaic(images, targets, label_mask, partners)
    assert [whole[0, 0, 0, 0], whole[0, 0, 0, 5], whole[0, 0, 5, 0], whole[0, 0, 5, 5]] == [0, 1, 2, 3]
    assert seen[0].tolist() == [1.0, 1.0]
    assert sure[0].tolist() == [True, True], "present in one is known, whatever another does not say"
    targets[3, 1] = 0
    assert mosaic(images, targets, label_mask, partners)[2][0].tolist() == [True, False]
