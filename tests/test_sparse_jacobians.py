"""Sparse Jacobians on every backend: found, read off or given, and proven."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

import xcheck

RNG = np.random.default_rng(8)
N = 60
U = RNG.uniform(-1, 1, N)


def residual(xp: Any) -> Any:
    """Return the residual of Bratu's equation on a line: tridiagonal."""

    def f(u: Any) -> Any:
        none = u[:1] * 0
        padded = xp.concat([none, u, none], axis=0)
        return padded[2:] - 2 * u + padded[:-2] + 0.1 * xp.exp(u)

    return f


def tridiagonal(u: Any) -> Any:
    return np.diag(0.1 * np.exp(u) - 2) + np.diag(np.ones(len(u) - 1), 1) + np.diag(np.ones(len(u) - 1), -1)


def close(found: Any, expected: Any, backend: Any) -> None:
    assert found.shape == expected.shape
    loose = 1e-9 if backend.name == "numpy" else 1e-13
    np.testing.assert_allclose(found.toarray(), expected, rtol=loose, atol=loose)


def test_a_tridiagonal_jacobian_is_found_by_products(backend: Any) -> None:
    f = residual(backend.namespace())
    found = xcheck.sparse_jacobian(f, backend.from_numpy(U))
    assert isinstance(found, sp.csr_array)
    assert found.nnz == 3 * N - 2
    close(found, tridiagonal(U), backend)
    found.data[:] = 0  # its own memory
    close(xcheck.sparse_jacobian(f, backend.from_numpy(U)), tridiagonal(U), backend)


def test_float32_is_kept(backend: Any) -> None:
    found = xcheck.sparse_jacobian(residual(backend.namespace()), backend.from_numpy(U.astype(np.float32)))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.toarray(), tridiagonal(U), rtol=1e-4, atol=1e-5)


def test_a_prepared_one_is_called_at_other_points(backend: Any) -> None:
    f = residual(backend.namespace())
    sparse = xcheck.jacobian_function(f, backend.from_numpy(U), quantity="sparse", budget=1)
    for u in (U, 2 * U, -U):
        close(sparse(backend.from_numpy(u)), tridiagonal(u), backend)
    assert any("pattern" in note for note in sparse.plan.notes)
    products = {c.strategy.products for c in sparse.plan.candidates}
    assert products == {3}


def test_the_frameworks_own_sparse_matrices(backend: Any) -> None:
    f, u = residual(backend.namespace()), backend.from_numpy(U)
    if backend.name == "numpy":
        with pytest.raises(ValueError, match="form='native': numpy has no sparse matrices of its own here"):
            xcheck.sparse_jacobian(f, u, form="native")
        return
    found = xcheck.sparse_jacobian(f, u, form="native")
    if backend.name == "torch":
        assert found.is_sparse
        dense = found.to_dense().numpy()
    elif backend.name == "jax":
        dense = np.zeros((N, N))
        dense[tuple(np.asarray(found.indices).T)] = np.asarray(found.data)
    else:
        import tensorflow as tf

        dense = tf.sparse.to_dense(found).numpy()
    np.testing.assert_allclose(dense, tridiagonal(U), atol=1e-13)


def test_a_pattern_that_is_given_is_proven(backend: Any) -> None:
    f, u = residual(backend.namespace()), backend.from_numpy(U)
    pattern = tridiagonal(U) != 0
    close(xcheck.sparse_jacobian(f, u, pattern=pattern), tridiagonal(U), backend)
    close(xcheck.sparse_jacobian(f, u, pattern=np.ones((N, N))), tridiagonal(U), backend)  # more than there is
    pattern[7, 8] = False
    for verb in (xcheck.sparse_jacobian, lambda *a, **k: xcheck.jacobian_function(*a, quantity="sparse", **k)):
        with pytest.raises(
            xcheck.AssumptionError,
            match=r"every strategy for it relies on this: no entry lies outside of the pattern. But d out\[7\] / d u",
        ):
            verb(f, u, pattern=pattern)
    close(xcheck.sparse_jacobian(f, u), tridiagonal(U), backend)  # the refusal was of that pattern alone


@pytest.mark.parametrize(
    ("pattern", "error", "message"),
    [
        (
            np.eye(N + 1),
            ValueError,
            rf"pattern has to have the Jacobian's shape \({N}, {N}\).*got \({N + 1}, {N + 1}\)",
        ),
        (np.full((N, N), np.nan), ValueError, "pattern"),
        ("band", TypeError, "pattern"),
    ],
)
def test_patterns_are_looked_at(pattern: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        xcheck.sparse_jacobian(residual(np), U, pattern=pattern)


def test_forms_are_looked_at() -> None:
    with pytest.raises(ValueError, match=r"form='dense'\. Accepted: 'scipy', 'native'"):
        xcheck.sparse_jacobian(residual(np), U, form="dense")


def test_a_small_dense_jacobian_is_taken_whole(backend: Any) -> None:
    xp = backend.namespace()
    matrix = RNG.normal(size=(N, N))
    native = backend.from_numpy(matrix)
    close(xcheck.sparse_jacobian(lambda x: xp.matmul(native, x), backend.from_numpy(U)), matrix, backend)


def test_a_large_dense_jacobian_is_refused_with_what_to_take(torch: Any) -> None:
    x = torch.tensor(RNG.normal(size=600))
    with pytest.raises(ValueError, match=r"is not sparse enough to pay.*xcheck\.jacobian computes"):
        xcheck.sparse_jacobian(lambda x: x * x.sum(), x)


def arrow(xp: Any) -> Any:
    return lambda x: xp.concat([x[1:] ** 2 * x[:1], xp.sum(x * x, axis=0)[None]], axis=0)


def arrow_jacobian(x: Any) -> Any:
    whole = np.zeros((N, N))
    whole[:-1, 1:] = np.diag(2 * x[1:] * x[0])
    whole[:-1, 0] = x[1:] ** 2
    whole[-1] = 2 * x
    return whole


def test_dense_rows_and_columns_are_taken_apart(backend: Any) -> None:
    f, x = arrow(backend.namespace()), backend.from_numpy(U)
    if backend.name == "numpy":  # which has no products with rows
        close(xcheck.sparse_jacobian(f, x, pattern=arrow_jacobian(U) != 0), arrow_jacobian(U), backend)
        return
    sparse = xcheck.jacobian_function(f, x, quantity="sparse", budget=1)
    close(sparse(x), arrow_jacobian(U), backend)
    close(sparse(backend.from_numpy(U + 1)), arrow_jacobian(U + 1), backend)
    assert any(c.strategy.products <= 4 and c.status in ("chosen", "slower") for c in sparse.plan.candidates)


def test_several_inputs_and_outputs_are_laid_end_to_end(backend: Any) -> None:
    xp = backend.namespace()

    def f(a: Any, b: Any) -> Any:
        return a * a, xp.concat([b[:1] * a[:1], b[1:]], axis=0)

    a, b = backend.from_numpy(U[:20]), backend.from_numpy(U[20:50])
    found = xcheck.sparse_jacobian(f, a, b)
    expected = np.zeros((50, 50))
    expected[:20, :20] = np.diag(2 * U[:20])
    expected[20:, 20:] = np.eye(30)
    expected[20, 0], expected[20, 20] = U[20], U[0]
    close(found, expected, backend)
    close(xcheck.sparse_jacobian(f, a, b, wrt=1), expected[:, 20:], backend)


def test_entries_that_appear_elsewhere_are_not_lost(backend: Any) -> None:
    xp = backend.namespace()

    def f(x: Any) -> Any:
        return x * x + xp.where(x[0] > 50, xp.concat([x[1:], x[:1]], axis=0), 0 * x)

    sparse = xcheck.jacobian_function(f, backend.from_numpy(U), quantity="sparse", budget=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for shift in (0, 100, 100, 0):
            x = U + shift
            expected = np.diag(2 * x) + (np.roll(np.eye(N), 1, axis=1) if shift else 0)
            found = sparse(backend.from_numpy(x)).toarray()
            np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-8)


def test_one_more_product_at_every_call_is_what_a_quick_look_costs(torch: Any) -> None:
    calls: list[int] = []

    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            calls.append(1)
            return 2 * g * ctx.saved_tensors[0]

    x = torch.tensor(U)
    diagonal = xcheck.jacobian_function(
        Square.apply, x, quantity="diagonal", strategy="ones: tape loop", recheck="always"
    )
    for _ in range(3):
        diagonal(x)
    calls.clear()
    for _ in range(3):  # calls 5, 6 and 7: none at which the whole proof is made
        np.testing.assert_array_equal(diagonal(x), 2 * x)
    assert len(calls) == 6


def test_the_diagonal_of_a_banded_jacobian_takes_a_few_coloured_products(backend: Any) -> None:
    f = residual(backend.namespace())
    u = RNG.uniform(-1, 1, 1000)
    evaluated: list[int] = []

    def counted(u: Any) -> Any:
        evaluated.append(1)
        return f(u)

    found = backend.to_numpy(xcheck.jacobian_diagonal(counted, backend.from_numpy(u)))
    np.testing.assert_allclose(found, 0.1 * np.exp(u) - 2, rtol=1e-7)
    assert len(evaluated) < 1000
    diagonal = xcheck.jacobian_function(f, backend.from_numpy(u), quantity="diagonal", budget=2)
    for point in (u, -u, 2 * u):
        np.testing.assert_allclose(
            backend.to_numpy(diagonal(backend.from_numpy(point))), 0.1 * np.exp(point) - 2, rtol=1e-7
        )
    assert any(
        c.strategy.name.startswith("colours") and c.status in ("chosen", "slower") for c in diagonal.plan.candidates
    )


def test_a_coloured_diagonal_looks_at_what_lies_outside_of_its_pattern(torch: Any) -> None:
    def f(x: Any) -> Any:
        return x * x + torch.where(x[0] > 50, x.flip(0), 0 * x)

    diagonal = xcheck.jacobian_function(f, torch.ones(301), quantity="diagonal", strategy="colours: tape loop")
    with pytest.raises(xcheck.AssumptionError, match="no entry lies outside of the pattern"):
        diagonal(100 * torch.ones(301))
