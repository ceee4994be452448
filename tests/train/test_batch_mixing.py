"""What is done to a batch as a whole."""

from typing import Any

import numpy as np
import pytest
import torch

from cxrlt_cli.config.train import TrainConfig
from cxrlt_cli.options import select
from cxrlt_cli.train.batch_mixing import Inputs, draw_mix, mixed
from cxrlt_cli.train.settings import MixSettings

IMAGES = torch.rand(8, 1, 16, 16, generator=torch.Generator().manual_seed(0))
TARGETS = torch.eye(8)
KNOWN = torch.ones(8, 8, dtype=torch.bool)
ALL = np.arange(8)


def _settings(**options: Any) -> MixSettings:
    return select(MixSettings, TrainConfig(**options))


def _mix(config: MixSettings, images: torch.Tensor, step: int, own: np.ndarray = ALL) -> Inputs:
    """What a rank that computes the rows `own` makes of what it reads."""
    mix = draw_mix(config, step, 8)
    needed = mix.needed(own)
    return mixed(mix, own, images[needed], TARGETS[needed], KNOWN[needed])


def test_off_changes_nothing() -> None:
    images, targets, _ = mixed(draw_mix(_settings(), 5, 8), ALL, IMAGES, TARGETS, KNOWN)
    assert images is IMAGES
    assert targets is TARGETS


def test_each_step_has_its_own_draw_and_always_the_same() -> None:
    for config in (_settings(mixup=1.0), _settings(cutmix=1.0), _settings(mosaic=0.99)):
        one, again, other = (_mix(config, IMAGES, step)[0] for step in (3, 3, 4))
        assert (one == again).all()
        assert (one != other).any()


def test_labels_follow_the_pixels() -> None:
    """Each image is constant, so that what it shows says what its labels must be."""
    constant = torch.arange(8.0).view(8, 1, 1, 1).expand(8, 1, 16, 16).contiguous()
    for config in (_settings(mixup=1.0), _settings(cutmix=1.0)):
        images, targets, _ = _mix(config, constant, 1)
        torch.testing.assert_close(images.mean(dim=(1, 2, 3)), targets @ torch.arange(8.0))


def test_with_both_mixup_and_cutmix_a_coin_decides() -> None:
    both = _settings(mixup=1.0, cutmix=1.0)
    alone = {name: _settings(**{name: 1.0}) for name in ("mixup", "cutmix")}
    taken = [
        name for step in range(40) for name, config in alone.items()
        if (_mix(both, IMAGES, step)[0] == _mix(config, IMAGES, step)[0]).all()
    ]  # fmt: skip
    assert len(taken) == 40
    assert 8 < taken.count("mixup") < 32


@pytest.mark.parametrize("ranks", [2, 3, 8])
@pytest.mark.parametrize("flags", [{"mixup": 0.4}, {"cutmix": 1.0}, {"mosaic": 0.99, "mixup": 0.4, "cutmix": 1.0}])
def test_ranks_make_the_same_images_as_one_process(flags: dict[str, float], ranks: int) -> None:
    config = _settings(**flags)
    for step in range(4):
        alone = _mix(config, IMAGES, step)
        parts = [_mix(config, IMAGES, step, own) for own in np.array_split(ALL, ranks)]
        for whole, *pieces in zip(alone, *parts, strict=True):
            assert (whole == torch.cat(pieces)).all()


def test_a_rank_reads_no_more_than_it_needs() -> None:
    own = np.arange(2)
    assert draw_mix(_settings(), 0, 64).needed(own).tolist() == [0, 1]
    assert len(draw_mix(_settings(mixup=1.0), 0, 64).needed(own)) <= 4
    assert len(draw_mix(_settings(mixup=1.0, mosaic=0.99), 0, 64).needed(own)) <= 16
