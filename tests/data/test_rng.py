"""Draws as functions of seed, epoch and row."""

import numpy as np

from cxrlt_cli.data.rng import Stream, batch_generator, permutation, step_seed, uniform

ROWS = np.arange(20000)


def test_a_draw_depends_on_its_row_alone_not_on_the_batch() -> None:
    whole = uniform(3, 5, ROWS, Stream.FLIP)
    order = np.random.default_rng(0).permutation(20000)
    assert (uniform(3, 5, order[:64], Stream.FLIP) == whole[order[:64]]).all()


def test_draws_are_uniform_and_streams_epochs_seeds_independent() -> None:
    base = uniform(0, 0, ROWS, Stream.FLIP)
    assert base.min() >= 0
    assert base.max() < 1
    assert np.abs(np.histogram(base, 20, (0, 1))[0] - 1000).max() < 160  # 5 deviations of a binomial
    others = [
        uniform(1, 0, ROWS, Stream.FLIP),
        uniform(0, 1, ROWS, Stream.FLIP),
        uniform(0, 0, ROWS, Stream.ZOOM),
        np.roll(base, 1),
    ]
    for other in others:
        assert abs(np.corrcoef(base, other)[0, 1]) < 0.035


def test_an_epoch_sees_every_row_once_in_an_order_of_its_own() -> None:
    first, second = permutation(0, 0, 1000), permutation(0, 1, 1000)
    assert sorted(first) == list(range(1000))
    assert (first != second).mean() > 0.9


def test_batch_draws_repeat() -> None:
    assert batch_generator(1, 2, Stream.BATCH).random() == batch_generator(1, 2, Stream.BATCH).random()
    assert batch_generator(1, 2, Stream.BATCH).random() != batch_generator(1, 3, Stream.BATCH).random()
    assert step_seed(0, 1) != step_seed(0, 2)
    assert 0 <= step_seed(0, 1) < 2**63
