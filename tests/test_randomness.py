"""Random functions: the same numbers at every evaluation, and the user's generators as they were."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

import xcheck
from xcheck.randomness import pinned
from xcheck.registry import resolve


def draw_python() -> float:
    return random.random()


def draw_numpy() -> float:
    return float(np.random.uniform())


def draw_gauss() -> float:
    return float(np.random.normal())  # keeps a second number for the next call


DRAWS = [draw_python, draw_numpy, draw_gauss]


@pytest.mark.parametrize("draw", DRAWS)
def test_a_rewind_brings_the_same_numbers_and_tells_of_draws(draw: Any) -> None:
    with pinned(resolve("numpy"), 3) as rewind:
        assert not rewind()
        first = draw()
        assert rewind()
        assert not rewind()
        assert draw() == first


@pytest.mark.parametrize("draw", DRAWS)
def test_the_users_generators_are_restored(draw: Any) -> None:
    random.seed(5)
    np.random.seed(5)
    expected = [draw() for _ in range(3)]
    random.seed(5)
    np.random.seed(5)

    found = [draw()]
    with pinned(resolve("numpy"), 0):
        draw()
    found.append(draw())
    with pytest.raises(ZeroDivisionError), pinned(resolve("numpy"), 0):
        _ = draw() / 0
    found.append(draw())

    assert found == expected


@pytest.mark.parametrize("draws", [0, 1, 2])
def test_a_normal_number_that_numpy_keeps_is_not_lost(draws: int) -> None:
    np.random.seed(5)
    expected = [draw_gauss() for _ in range(4)]
    np.random.seed(5)

    found = []
    for _ in expected:
        found.append(draw_gauss())
        with pinned(resolve("numpy"), 0) as rewind:
            inside = [draw_gauss() for _ in range(draws)]
            assert rewind() == (draws > 0)
            assert [draw_gauss() for _ in range(draws)] == inside

    assert found == expected


def test_a_draw_of_a_whole_turn_of_the_generator_is_seen() -> None:
    with pinned(resolve("numpy"), 0) as rewind:
        np.random.bytes(624 * 4)
        assert rewind()
        assert not rewind()


def test_another_global_generator_of_numpy_is_pinned_too() -> None:
    usual = np.random.get_bit_generator()
    np.random.set_bit_generator(np.random.PCG64(3))
    try:
        state = np.random.get_bit_generator().state
        with pinned(resolve("numpy"), 0) as rewind:
            first = draw_numpy()
            assert rewind()
            assert draw_numpy() == first
        assert np.random.get_bit_generator().state == state
    finally:
        np.random.set_bit_generator(usual)


@pytest.mark.parametrize("draw", DRAWS)
def test_a_random_function_is_checked_with_its_numbers_pinned(draw: Any) -> None:
    report = xcheck.check(lambda x: np.sum(x**2) * (1 + draw()), np.ones(2), gradient=lambda x: 2 * x * (1 + draw()))

    assert report.ok
    assert any("draws random numbers" in note for note in report.notes)


def test_a_function_that_draws_nothing_is_not_called_random() -> None:
    report = xcheck.check(lambda x: np.sum(x**2), np.ones(2), gradient=lambda x: 2 * x)

    assert not any("random" in note for note in report.notes)


@pytest.mark.parametrize("seed", [0, 1, 2**32 + 7])
def test_any_seed_will_do_and_the_same_one_gives_the_same_report(seed: int) -> None:
    def run() -> xcheck.Report:
        return xcheck.check(
            lambda x: np.sum(x) * draw_numpy(), np.ones(2), gradient=lambda x: draw_numpy() * x, seed=seed
        )

    assert run() == run()


def test_a_generator_of_the_users_own_cannot_be_pinned_and_is_inconclusive() -> None:
    rng = np.random.default_rng(0)
    report = xcheck.check(lambda x: np.sum(x) * rng.uniform(), np.ones(2), gradient=lambda x: x, raises=False)

    assert report.verdict is xcheck.Verdict.INCONCLUSIVE
    assert "random" in report.comparisons[0].reason


def test_dropout_of_torch_is_pinned_and_its_generator_restored(torch: Any) -> None:
    torch.manual_seed(7)
    before = torch.get_rng_state()

    report = xcheck.check(lambda x: torch.nn.functional.dropout(x.sin(), 0.5), torch.ones(4))

    assert report.ok
    assert any("draws random numbers" in note for note in report.notes)
    assert torch.equal(torch.get_rng_state(), before)


def test_draws_of_tensorflow_and_keras_are_pinned_and_their_generators_restored(tf: Any) -> None:
    import keras

    if keras.config.backend() != "tensorflow":
        pytest.skip("Keras runs on another framework")
    tf.random.set_seed(3)
    tf.random.get_global_generator().reset_from_seed(3)
    expected = [tf.random.uniform([]).numpy(), tf.random.get_global_generator().uniform([]).numpy()]
    tf.random.set_seed(3)
    tf.random.get_global_generator().reset_from_seed(3)

    for draw in (
        lambda: tf.random.uniform([2]),
        lambda: tf.cast(tf.random.get_global_generator().uniform([2]), tf.float32),
        lambda: tf.cast(keras.random.uniform([2]), tf.float32),
    ):
        assert xcheck.check(lambda x, draw=draw: x * x * draw(), tf.constant([1.0, 2.0])).ok

    assert [tf.random.uniform([]).numpy(), tf.random.get_global_generator().uniform([]).numpy()] == expected


def test_dropout_of_keras_is_pinned(tf: Any) -> None:
    import keras

    if keras.config.backend() != "tensorflow":
        pytest.skip("Keras runs on another framework")
    layer = keras.layers.Dropout(0.5, seed=1)
    x = np.ones((2, 3), np.float32)
    layer(x)
    state = [np.copy(v.numpy()) for v in layer.variables]

    assert xcheck.check(layer, x, kwargs={"training": True}).ok
    for variable, value in zip(layer.variables, state, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


def test_keys_of_jax_make_their_functions_repeatable(jax: Any) -> None:
    key = jax.random.key(0)

    report = xcheck.check(lambda x, key: x * jax.random.normal(key, x.shape), jax.numpy.ones(3), key)

    assert report.ok
    assert not any("draws random" in note for note in report.notes)
