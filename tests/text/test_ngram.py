"""Character n-grams."""

import subprocess
import sys

import numpy as np

from cxrlt_cli.text.ngram import embed_ngrams


def test_vectors_have_length_one_and_follow_the_spelling() -> None:
    texts = ["pleural effusion", "pleural thickening", "rib fracture"]
    vectors = embed_ngrams(texts)
    assert vectors.shape == (3, 256)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1)
    assert vectors[0] @ vectors[1] > 0.3 > vectors[0] @ vectors[2]


def test_the_same_on_every_run_whatever_pythons_hash() -> None:
    code = "from cxrlt_cli.text.ngram import embed_ngrams; print(embed_ngrams(['lung mass']).tobytes().hex())"
    found = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed, "PATH": ""}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert found == {embed_ngrams(["lung mass"]).tobytes().hex() + "\n"}


def test_case_and_order_of_texts_do_not_matter() -> None:
    assert np.array_equal(embed_ngrams(["Lung MASS", "x"])[0], embed_ngrams(["y", "lung mass"])[1])


def test_a_text_without_letters_is_a_vector_of_zeros_not_nan() -> None:
    assert not embed_ngrams([""]).any()
