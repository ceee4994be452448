"""Character n-grams: a text embedding that needs no download. It reflects spelling, not meaning."""

import zlib
from collections import Counter

import numpy as np

_SIZES = (3, 4, 5)


def embed_ngrams(texts: list[str], width: int = 256) -> np.ndarray:
    """Signed hashed character n-grams (3 to 5, within words including their boundaries), weighted by 1 + log(count).

    Signed hashing after Weinberger et al., ICML 2009. The hash is CRC-32: the same on every machine.

    Args:
        texts: N texts.
        width: length of the vectors.

    Returns:
        (N, width) float32, rows of unit length.
    """
    vectors = np.zeros((len(texts), width), dtype=np.float64)
    for row, text in enumerate(texts):
        for gram, count in _grams(text).items():
            code = zlib.crc32(gram.encode())
            vectors[row, (code >> 1) % width] += (1 if code & 1 else -1) * (1 + np.log(count))
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), dtype=np.float32)


def _grams(text: str) -> Counter[str]:
    words = (f" {word} " for word in text.casefold().split())
    return Counter(word[start : start + size] for word in words for size in _SIZES for start in range(len(word) - size + 1))
