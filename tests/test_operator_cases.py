"""The corpus of JAX's and TensorFlow's operators: enough of them, named once, drawn afresh from every seed."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest

CORPORA = {"jax": 150, "tensorflow": 100}
"""How many operators each framework has at least."""


def arrays(case: Any) -> list[np.ndarray]:
    return [np.asarray(x) for x in case.inputs]


@pytest.mark.parametrize("framework", CORPORA)
def test_operators_are_enough_smooth_and_in_float64(framework: str) -> None:
    pytest.importorskip(framework)
    corpus = importlib.import_module(f"cases.{framework}_operators")
    cases = list(corpus.operators(seed=0, points=1))

    assert len(cases) >= CORPORA[framework]
    assert len({case.name for case in cases}) == len(cases)
    assert all(case.smooth and case.truth.value == "right" and case.framework == framework for case in cases)
    assert {x.dtype.name for case in cases for x in arrays(case)} == {"float64"}


@pytest.mark.parametrize("framework", CORPORA)
def test_the_seed_draws_the_points(framework: str) -> None:
    pytest.importorskip(framework)
    corpus = importlib.import_module(f"cases.{framework}_operators")
    first, again, other = (next(iter(corpus.operators(seed, 1))) for seed in (0, 0, 1))

    assert np.array_equal(arrays(first)[0], arrays(again)[0])
    assert not np.array_equal(arrays(first)[0], arrays(other)[0])


@pytest.mark.parametrize("framework", CORPORA)
def test_hard_points_are_right_or_conventions_and_wrong_ones_wrong(framework: str) -> None:
    pytest.importorskip(framework)
    hard = list(importlib.import_module(f"cases.{framework}_tricky").tricky(0))
    wrong = list(importlib.import_module(f"cases.{framework}_wrong").known_wrong(0))

    assert {case.truth.value for case in hard} == {"right", "convention"}
    assert {case.truth.value for case in wrong} == {"wrong"}
    assert len({case.name for case in hard + wrong}) == len(hard + wrong)
