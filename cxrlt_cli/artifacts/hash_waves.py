"""The cosine waves that the bits of the perceptual hash in `/hash` stand for: `cache` computes it, `merge` compares it."""

import numpy as np

THUMBNAIL, BITS = 32, 256  # px; bits

_DOWN, _ACROSS = np.indices((THUMBNAIL, THUMBNAIL)).reshape(2, -1)

#: (256,) places in the raveled transform: the lowest waves after the mean, by the sum of their two frequencies.
WAVES = np.lexsort((_ACROSS, _DOWN + _ACROSS))[1 : BITS + 1]

#: (256,) bool: the waves whose sign turns when a picture is mirrored; an inverted picture turns all.
MIRRORED_BITS = _ACROSS[WAVES] % 2 == 1
