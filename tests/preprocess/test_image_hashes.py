"""Hashes by which a picture is found again."""

from pathlib import Path

import numpy as np
from PIL import Image

from cxrlt_cli.preprocess.image_hashes import hashes_of
from cxrlt_cli.preprocess.settings import PixelSettings, read_square


def _differing(one: np.ndarray, other: np.ndarray) -> int:
    return sum(int(a ^ b).bit_count() for a, b in zip(one[1:].tolist(), other[1:].tolist(), strict=True))


def test_equal_pixels_have_equal_hashes_and_one_gray_level_changes_the_first() -> None:
    square = np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)
    other = square.copy()
    other[5, 7] ^= 1
    assert (hashes_of(square) == hashes_of(square.copy())).all()
    assert hashes_of(square)[0] != hashes_of(other)[0]
    assert _differing(hashes_of(square), hashes_of(other)) <= 2


def test_a_picture_without_contrast_has_no_perceptual_hash() -> None:
    assert not hashes_of(np.full((64, 64), 99, np.uint8))[1:].any()


def test_real_radiographs_stay_apart_and_their_copies_together(real_data: Path, tmp_path: Path) -> None:
    files = sorted((real_data / "chestxray14-256/images").glob("*.png"))[:150]
    settings = PixelSettings(224)
    found = [hashes_of(read_square(file, settings)) for file in files]
    apart = [_differing(one, other) for index, one in enumerate(found) for other in found[:index]]
    assert min(apart) > 40
    for file, hashes in zip(files[:30], found, strict=False):
        with Image.open(file) as image:
            image.convert("L").resize((200, 200), Image.Resampling.BICUBIC).save(tmp_path / "copy.jpg", quality=75)
        assert _differing(hashes, hashes_of(read_square(tmp_path / "copy.jpg", settings))) <= 16
