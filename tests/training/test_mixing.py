"""What is done to a batch as a whole."""

import torch

from cxrlt_cli.config.train import TrainConfig
from cxrlt_cli.training.mixing import make_mixing

IMAGES = torch.rand(8, 1, 16, 16, generator=torch.Generator().manual_seed(0))
TARGETS = torch.eye(8)
KNOWN = torch.ones(8, 8, dtype=torch.bool)


def test_off_changes_nothing() -> None:
    mixed = make_mixing(TrainConfig())(IMAGES, TARGETS, KNOWN, 5)
    assert mixed[0] is IMAGES
    assert mixed[1] is TARGETS


def test_each_step_has_its_own_draw_and_always_the_same() -> None:
    for config in (TrainConfig(mixup=1.0), TrainConfig(cutmix=1.0), TrainConfig(mosaic=0.99)):
        mix = make_mixing(config)
        one, again, other = (mix(IMAGES, TARGETS, KNOWN, step)[0] for step in (3, 3, 4))
        assert (one == again).all()
        assert (one != other).any()


def test_labels_follow_the_pixels() -> None:
    """Each image is constant, so that what it shows says what its labels must be."""
    constant = torch.arange(8.0).view(8, 1, 1, 1).expand(8, 1, 16, 16).contiguous()
    for config in (TrainConfig(mixup=1.0), TrainConfig(cutmix=1.0)):
        images, targets, _ = make_mixing(config)(constant, TARGETS, KNOWN, 1)
        torch.testing.assert_close(images.mean(dim=(1, 2, 3)), targets @ torch.arange(8.0))


def test_with_both_mixup_and_cutmix_a_coin_decides() -> None:
    both = make_mixing(TrainConfig(mixup=1.0, cutmix=1.0))
    alone = {name: make_mixing(TrainConfig(**{name: 1.0})) for name in ("mixup", "cutmix")}
    taken = [
        name for step in range(40) for name in alone
        if (both(IMAGES, TARGETS, KNOWN, step)[0] == alone[name](IMAGES, TARGETS, KNOWN, step)[0]).all()
    ]  # fmt: skip
    assert len(taken) == 40
    assert 8 < taken.count("mixup") < 32
