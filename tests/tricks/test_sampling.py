"""How often an image is drawn."""

import torch

from cxrlt_cli.tricks.sampling import class_balanced, repeat_factors, square_root

#: Of 8 images 4 have class 0, 1 of these also class 1, 3 have nothing and one has class 1 alone.
TARGETS = torch.tensor([[1, 0]] * 3 + [[1, 1]] + [[0, 0]] * 3 + [[0, 1]])


def test_repeat_factors_by_hand() -> None:
    """Shares 1/2 and 1/4 against t = 1: factors sqrt 2 and 2."""
    found = repeat_factors(TARGETS, 1.0)
    torch.testing.assert_close(found, torch.tensor([2.0] * 3 + [4.0] + [1.0] * 3 + [4.0], dtype=torch.float64).sqrt())
    assert (repeat_factors(TARGETS, 0.1) == 1).all()


def test_class_balanced_gives_each_class_the_same() -> None:
    weights = class_balanced(TARGETS)
    assert torch.isclose(weights.mean(), torch.tensor(1.0, dtype=torch.float64))
    torch.testing.assert_close(weights[3] * 2, weights[0] + weights[7])  # (1/4 + 1/2) / 2
    torch.testing.assert_close(weights[7] / weights[0], torch.tensor(2.0, dtype=torch.float64))
    torch.testing.assert_close(square_root(TARGETS)[7] / square_root(TARGETS)[0], torch.tensor(2.0, dtype=torch.float64).sqrt())
