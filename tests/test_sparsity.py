"""Patterns found by products, colourings, and entries read off, against matrices that are known."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array, csr_array, diags_array, eye_array, kron, random_array, vstack

from xcheck.strategies.certifying import certified, wrong_column
from xcheck.strategies.colouring import colour_jacobian, dense_rows, group_columns, is_valid, least_groups
from xcheck.strategies.compression import Compression, as_pattern
from xcheck.strategies.recovery import RecoveryError, recover_pattern

PRECISIONS = [53, 24]


class Products:
    """Products with a matrix, in the arithmetic of a precision, that are counted."""

    def __init__(self, matrix, precision=53):
        self.matrix = csr_array(matrix).astype(np.float64 if precision == 53 else np.float32)
        self.count = 0

    def __call__(self, vectors):
        self.count += len(vectors)
        cast = vectors.astype(self.matrix.dtype)
        assert np.array_equal(cast, vectors)  # what is passed is exact
        return np.asarray((self.matrix @ cast.T).T, dtype=np.float64)


def rounded(matrix, precision):
    return csr_array(matrix) if precision == 53 else csr_array(matrix).astype(np.float32).astype(np.float64)


def tridiagonal(n):
    return csr_array(diags_array([np.ones(n - 1), -2.0 * np.ones(n), np.ones(n - 1)], offsets=[-1, 0, 1]))


def five_point(k):
    return csr_array(kron(eye_array(k), tridiagonal(k)) + kron(tridiagonal(k), eye_array(k)))


def box(k):
    line = abs(tridiagonal(k))
    return csr_array(kron(kron(line, line), line))


def arrow(n, row=True, column=True):
    matrix = np.eye(n)
    if row:
        matrix[0] = 1.5
    if column:
        matrix[:, 0] = -0.5
    return csr_array(matrix)


def scattered(m, n, per_row, seed=0):
    rng = np.random.default_rng(seed)
    where = (np.repeat(np.arange(m), per_row), rng.integers(0, n, m * per_row))
    return csr_array(coo_array((rng.standard_normal(m * per_row), where), shape=(m, n)))


def canonical(matrix):
    pattern = csr_array(matrix != 0)
    pattern.sort_indices()
    return pattern


def assert_found(matrix, found):
    """All that is larger than the bound was found, and nothing that is not there."""
    true, pattern = canonical(matrix), found.pattern
    assert (pattern > true).nnz == 0
    missed = coo_array(true > pattern)
    dense = np.asarray(matrix.toarray())
    assert np.all(np.abs(dense[missed.row, missed.col]) <= found.bound[missed.row])


STRUCTURED = {
    "tridiagonal": tridiagonal(300),
    "five-point stencil": five_point(15),
    "blocks": csr_array(kron(eye_array(40), np.arange(1.0, 26.0).reshape(5, 5))),
    "integers that cancel": csr_array(kron(eye_array(30), np.array([[1.0, -1, 1, -1], [1, -2, 1, 0]]))),
    "dense column": arrow(200, row=False),
    "cyclic": csr_array(np.roll(np.eye(150), 1, axis=1) - np.eye(150)),
    "empty rows": csr_array(vstack([csr_array((50, 90)), tridiagonal(90)])),
    "zero": csr_array((60, 80)),
    "strides of all early moduli": csr_array(
        diags_array([np.ones(6000), np.ones(960)], offsets=[0, 5040], shape=(6000,) * 2)
    ),
    "wide": scattered(30, 400, 3),
    "tall": scattered(400, 50, 3),
    "one column": csr_array(np.arange(5.0)[:, None]),
    "one row": csr_array(np.eye(1, 40)),
    "one entry": csr_array([[3.0]]),
}


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", STRUCTURED)
def test_structured_patterns_are_found_exactly(name, precision):
    matrix = STRUCTURED[name]
    found = recover_pattern([Products(matrix, precision)], matrix.shape, precision=precision, limit=500)
    assert (found.pattern != canonical(matrix)).nnz == 0
    assert found.pattern.shape == matrix.shape
    assert found.pattern.dtype == np.bool_


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 60), st.integers(1, 60), st.floats(0, 0.3), st.integers(0, 10**6), st.sampled_from(PRECISIONS),
    st.booleans(),
)  # fmt: skip
def test_random_patterns_are_found(m, n, density, seed, precision, both):
    matrix = rounded(random_array((m, n), density=density, rng=np.random.default_rng(seed)), precision)
    push, pull = Products(matrix, precision), Products(matrix.T, precision)
    pulls = [pull] if both else []
    found = recover_pattern([push], (m, n), pulls=pulls, precision=precision, limit=3000, seed=seed)
    assert_found(matrix, found)
    assert (found.products, found.transposed) == (push.count, pull.count)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(PRECISIONS))
def test_entries_of_all_sizes_are_found_or_below_the_bound(seed, precision):
    rng = np.random.default_rng(seed)
    matrix = random_array((40, 60), density=0.06, rng=rng).tocsr()
    matrix.data = rng.choice([-1.0, 1.0], matrix.nnz) * 10.0 ** rng.uniform(-12, 12, matrix.nnz)
    matrix = rounded(matrix, precision)
    found = recover_pattern([Products(matrix, precision)], matrix.shape, precision=precision, limit=3000, seed=seed)
    assert_found(matrix, found)
    sizes = np.asarray(abs(matrix).sum(axis=1))
    assert np.all(found.bound <= (1e-10 if precision == 53 else 1e-2) * sizes + 1e-30)


def test_a_tiny_entry_beside_a_large_one_is_found():
    matrix = csr_array(tridiagonal(500) * np.tile([1.0, 1e-12], 250))
    found = recover_pattern([Products(matrix)], matrix.shape)
    assert (found.pattern != canonical(matrix)).nnz == 0
    assert np.max(found.bound) < 1e-12


def test_the_smallest_numbers_are_no_trouble():
    matrix = tridiagonal(200) * np.geomspace(1e-300, 1e-5, 200)[:, None]
    found = recover_pattern([Products(matrix)], matrix.shape)
    assert (found.pattern != canonical(matrix)).nnz == 0


@pytest.mark.parametrize("n", [1000, 100_000])
def test_a_band_costs_the_same_at_any_size(n):
    push = Products(tridiagonal(n))
    found = recover_pattern([push], (n, n))
    assert found.pattern.nnz == 3 * n - 2
    assert push.count <= 30


def test_random_columns_cost_a_hundred_products():
    matrix = scattered(10_000, 10_000, 5)
    found = recover_pattern([Products(matrix)], matrix.shape)
    assert (found.pattern != canonical(matrix)).nnz == 0
    assert found.products <= 200


@pytest.mark.parametrize("precision", PRECISIONS)
def test_dense_rows_are_fetched_by_the_other_mode(precision):
    matrix = arrow(1000)
    found = recover_pattern(
        [Products(matrix, precision)], matrix.shape, pulls=[Products(matrix.T, precision)], precision=precision
    )
    assert (found.pattern != canonical(matrix)).nnz == 0
    assert 1 <= found.transposed <= 20
    assert found.products <= 150


def test_dense_rows_without_the_other_mode_are_refused_early():
    push = Products(arrow(4000))
    with pytest.raises(RecoveryError, match=r"would take more than 2000 products: .* 1 rows are open") as caught:
        recover_pattern([push], (4000, 4000))
    assert push.count == caught.value.products < 1500
    assert caught.value.nonzeros > 8000


@pytest.mark.parametrize("both", [False, True])
def test_a_dense_matrix_is_refused_early(both):
    matrix = csr_array(np.random.default_rng(0).standard_normal((400, 400)))
    push, pull = Products(matrix), Products(matrix.T)
    with pytest.raises(RecoveryError) as caught:
        recover_pattern([push], matrix.shape, pulls=[pull] if both else [])
    assert push.count + pull.count == caught.value.products <= 200
    assert caught.value.nonzeros > 10_000


def test_a_small_side_is_fetched_one_by_one():
    matrix = scattered(3, 5000, 40)
    push, pull = Products(matrix), Products(matrix.T)
    found = recover_pattern([push], matrix.shape, pulls=[pull])
    assert (push.count, pull.count) == (0, 3)
    assert (found.pattern != canonical(matrix)).nnz == 0


def test_the_union_over_points_has_what_vanishes_at_one():
    here, there = tridiagonal(100), csr_array(eye_array(100, k=7))
    found = recover_pattern([Products(here), Products(there)], here.shape)
    assert (found.pattern != canonical(abs(here) + there)).nnz == 0


def test_the_transposed_pattern_is_found_by_pulls():
    matrix = arrow(300, row=True, column=False)
    found = recover_pattern([Products(matrix.T)], (300, 300))
    assert (csr_array(found.pattern.T) != canonical(matrix)).nnz == 0


def test_rounding_noise_in_zeros_is_no_entry():
    matrix, rng = tridiagonal(400), np.random.default_rng(1)

    def push(vectors):
        exact = (matrix @ vectors.T).T
        size = np.linalg.norm(vectors, axis=1)[:, None] / 20
        return exact + 2.0**-52 * size * rng.standard_normal(exact.shape)

    found = recover_pattern([push], matrix.shape)
    assert (canonical(matrix) > found.pattern).nnz == 0
    assert found.pattern.nnz <= matrix.nnz + 10


def test_products_that_are_not_linear_are_refused():
    rng = np.random.default_rng(1)
    with pytest.raises(RecoveryError, match="too coarse"):
        recover_pattern([lambda vectors: rng.standard_normal(vectors.shape)], (100, 100))


def test_rows_with_infinities_are_fetched_or_refused():
    dense = np.asarray(tridiagonal(100).toarray())
    dense[5, 5] = np.inf

    def push(vectors):
        with np.errstate(invalid="ignore"):
            return vectors @ dense.T

    def pull(vectors):
        return np.stack([dense[np.flatnonzero(one)[0]] for one in vectors])  # unit vectors alone are asked for

    with pytest.raises(RecoveryError, match="not finite in 1 rows, as in row 5"):
        recover_pattern([push], (100, 100))
    found = recover_pattern([push], (100, 100), pulls=[pull])
    assert (found.pattern != canonical(csr_array(dense))).nnz == 0


def test_pulls_and_pushes_come_in_pairs():
    push = Products(tridiagonal(50))
    with pytest.raises(ValueError, match="got 2 pushes and 1 pulls"):
        recover_pattern([push, push], (50, 50), pulls=[push])
    with pytest.raises(ValueError, match="got 0 pushes"):
        recover_pattern([], (50, 50))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(PRECISIONS), st.sampled_from([3, 5, 8]))
def test_a_certificate_names_the_row_and_column_of_an_error(seed, precision, probes):
    rng = np.random.default_rng(seed)
    matrix = rounded(scattered(50, 70, 4, seed), precision)
    push = Products(matrix, precision)
    certificate = certified(matrix, push, precision=precision, probes=probes, seed=seed)
    assert certificate.holds
    assert certificate.products == push.count == probes + 1
    wrong = matrix.copy()
    entry = int(rng.integers(matrix.nnz))
    row, column = int(np.searchsorted(matrix.indptr, entry, side="right")) - 1, int(matrix.indices[entry])
    wrong.data[entry] += 2 * certificate.bound[row]
    certificate = certified(wrong, push, precision=precision, probes=probes, seed=seed)
    assert certificate.wrong.tolist() == [row]
    assert not certificate.holds
    assert wrong_column(wrong, push, row, precision=precision, seed=seed) == column


def test_a_certificate_finds_errors_that_cancel_for_signs():
    matrix = tridiagonal(40)
    wrong = csr_array(matrix + csr_array(([1.0, -1.0], ([3, 3], [20, 21])), shape=matrix.shape))
    missing = wrong_column(matrix, Products(wrong), 3)
    assert certified(matrix, Products(wrong)).wrong.tolist() == [3]
    assert missing in (20, 21)
    assert wrong_column(matrix, Products(matrix), 3) is None


def test_rows_that_cancel_inside_their_products_are_not_called_wrong():
    rng = np.random.default_rng(0)
    tops = rng.uniform(
        0, 12, 300
    )  # softmax of two: y (v - y v - (1 - y) w) loses what y (1 - y) is smaller than one by
    first = (1 / (1 + np.exp(-tops))).astype(np.float32)
    second = (1 - first).astype(np.float32)

    def push(vectors):
        one, two = vectors.astype(np.float32)[:, 0::2], vectors.astype(np.float32)[:, 1::2]
        mean = first * one + second * two
        return np.stack([first * (one - mean), second * (two - mean)], axis=2).reshape(len(vectors), -1).astype(float)

    found = recover_pattern([push], (600, 600), precision=24)
    compression = Compression(found.pattern, colour_jacobian(found.pattern, modes=["jvp"]))
    result = compression.decompress(push(compression.seeds("jvp")))
    for seed in range(5):
        assert certified(result, push, precision=24, seed=seed).holds
    wrong = result.copy()
    wrong.data[wrong.indptr[100]] += 0.1
    assert certified(wrong, push, precision=24).wrong.tolist() == [100]


def test_a_certificate_is_tight():
    matrix = tridiagonal(1000)
    assert np.max(certified(matrix, Products(matrix)).bound) < 1e-10
    assert np.max(certified(matrix, Products(matrix, 24), precision=24).bound) < 1e-2


def test_a_certificate_does_not_judge_by_products_that_are_not_linear():
    rng = np.random.default_rng(0)
    certificate = certified(tridiagonal(30), lambda vectors: rng.standard_normal(vectors.shape))
    assert len(certificate.unjudged) == 30
    assert not certificate.holds


def test_a_certificate_does_not_judge_infinities():
    dense = np.eye(30)
    dense[4, 4] = np.inf
    with np.errstate(invalid="ignore"):
        certificate = certified(csr_array(dense), Products(dense))
    assert certificate.unjudged.tolist() == [4]
    assert certificate.wrong.tolist() == []
    assert not certificate.holds


BEST = {
    "tridiagonal": (tridiagonal(1000), 3),
    "five-point stencil": (five_point(20), 5),
    "five-point stencil of odd width": (five_point(31), 5),
    "box stencil": (box(12), 27),
    "blocks": (csr_array(kron(eye_array(50), np.ones((4, 4)))), 4),
    "dense column": (arrow(100, row=False), 2),
    "diagonal": (csr_array(eye_array(100)), 1),
    "dense": (csr_array(np.ones((30, 20))), 20),
    "zero": (csr_array((30, 20)), 0),
    "no rows": (csr_array((0, 20)), 0),
    "no columns": (csr_array((20, 0)), 0),
}


@pytest.mark.parametrize("name", BEST)
def test_structured_patterns_need_as_few_groups_as_there_can_be(name):
    matrix, count = BEST[name]
    groups = group_columns(canonical(matrix))
    assert is_valid(canonical(matrix), groups.colour)
    assert groups.count == count == groups.least == least_groups(canonical(matrix))
    assert sorted({*groups.colour.tolist()} - {-1}) == list(range(count))


patterns = st.builds(
    lambda m, n, density, seed: canonical(random_array((m, n), density=density, rng=np.random.default_rng(seed))),
    st.integers(1, 50), st.integers(1, 50), st.floats(0, 0.3), st.integers(0, 10**6),
)  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(patterns)
def test_groups_share_no_row_and_miss_no_column(pattern):
    groups = group_columns(pattern)
    dense = pattern.toarray().astype(int)
    for colour in range(groups.count):
        assert np.max(dense[:, groups.colour == colour].sum(axis=1)) == 1
    assert np.array_equal(groups.colour == -1, dense.sum(axis=0) == 0)
    assert groups.least <= groups.count


@pytest.mark.parametrize("seed", range(25))
def test_as_few_groups_as_networkx_finds(seed):
    networkx = pytest.importorskip("networkx")
    rng = np.random.default_rng(seed)
    pattern = canonical(random_array((40, 50), density=rng.uniform(0.02, 0.2), rng=rng))
    shared = (pattern.T.astype(int) @ pattern.astype(int)).toarray() > 0
    graph = networkx.from_numpy_array(np.triu(shared, 1)).subgraph(np.flatnonzero(np.diag(shared)).tolist())
    count = group_columns(pattern).count
    natural, *others = (
        max(networkx.greedy_color(graph, order).values()) + 1
        for order in (lambda graph, _: sorted(graph), "largest_first", "smallest_last")
    )
    assert count <= natural
    assert count <= min(others) + 1


def test_the_mode_with_fewer_products_is_chosen():
    assert colour_jacobian(canonical(arrow(100, column=False)), mixed=False).mode == "vjp"
    assert colour_jacobian(canonical(arrow(100, row=False)), mixed=False).mode == "jvp"
    assert colour_jacobian(canonical(arrow(100, column=False)), modes=["jvp"]).products == 100
    assert colour_jacobian(canonical(tridiagonal(100)), modes=["vjp", "jvp"]).mode == "vjp"


def test_an_arrow_takes_three_products_of_both_modes():
    colouring = colour_jacobian(canonical(arrow(500)))
    assert (colouring.mode, colouring.groups.count, colouring.apart.tolist()) == ("jvp", 2, [0])
    assert colouring.products == 3
    assert dense_rows(canonical(tridiagonal(100))).tolist() == []


@settings(max_examples=80, deadline=None)
@given(patterns, st.sampled_from([("jvp",), ("vjp",), ("jvp", "vjp")]), st.booleans())
def test_compressed_products_give_every_entry_back(pattern, modes, crossed):
    matrix = pattern.astype(np.float64)
    if crossed:
        matrix = matrix.tolil()
        matrix[0, :], matrix[:, -1] = 1.0, 1.0
        matrix = matrix.tocsr()
    matrix = csr_array(matrix)
    matrix.sort_indices()
    matrix.data = np.arange(1.0, matrix.nnz + 1)
    compression = Compression(canonical(matrix), colour_jacobian(canonical(matrix), modes=modes))
    forward, backward = compression.seeds("jvp"), compression.seeds("vjp")
    assert len(forward) + len(backward) == compression.colouring.products
    result = compression.decompress(forward @ matrix.T, backward @ matrix)
    assert np.array_equal(result.toarray(), matrix.toarray())
    assert np.array_equal(result.indices, matrix.indices)
    assert result.has_canonical_format


def test_both_modes_are_read_off():
    matrix = arrow(50)
    compression = Compression(canonical(matrix), colour_jacobian(canonical(matrix)))
    jvps, vjps = compression.seeds("jvp") @ matrix.T, compression.seeds("vjp", np.float32) @ matrix
    assert (jvps.shape, vjps.shape) == ((2, 50), (1, 50))
    assert compression.seeds("vjp", np.float32).dtype == np.float32
    assert np.array_equal(compression.decompress(jvps, vjps).toarray(), matrix.toarray())


@pytest.mark.parametrize("mode", ["jvp", "vjp"])
def test_several_dense_rows_of_an_oblong_matrix_are_read_off(mode):
    matrix = np.eye(60, 90)
    matrix[:, 7] = 0.5
    matrix[[3, 30, 59]] = np.arange(1.0, 271.0).reshape(3, 90)
    matrix = csr_array(matrix if mode == "jvp" else matrix.T)
    modes = ["jvp", "vjp"] if mode == "jvp" else ["vjp", "jvp"]  # the other way takes as many products
    compression = Compression(canonical(matrix), colour_jacobian(canonical(matrix), modes=modes))
    assert (compression.colouring.mode, compression.colouring.apart.tolist()) == (mode, [3, 30, 59])
    result = compression.decompress(compression.seeds("jvp") @ matrix.T, compression.seeds("vjp") @ matrix)
    assert np.array_equal(result.toarray(), matrix.toarray())


def test_a_colouring_of_something_else_is_refused():
    colouring = colour_jacobian(canonical(eye_array(20)))
    with pytest.raises(ValueError, match="colouring does not fit"):
        Compression(canonical(tridiagonal(20)), colouring)
    with pytest.raises(ValueError, match="colouring does not fit"):
        Compression(canonical(eye_array(21)), colouring)


def test_found_coloured_and_read_off():
    matrix = scattered(300, 200, 3)
    found = recover_pattern([Products(matrix)], matrix.shape, pulls=[Products(matrix.T)])
    compression = Compression(found.pattern, colour_jacobian(found.pattern))
    result = compression.decompress(compression.seeds("jvp") @ matrix.T, compression.seeds("vjp") @ matrix)
    assert certified(result, Products(matrix)).holds
    assert np.allclose(result.toarray(), matrix.toarray(), rtol=1e-14)


GIVEN = {
    "lists": [[1, 0, 2.5], [0, -1, 0]],
    "booleans": np.array([[True, False, True], [False, True, False]]),
    "complex": np.array([[1j, 0, 1], [0, 2, 0]]),
    "coo with duplicates": coo_array((np.ones(4), ([0, 0, 0, 1], [0, 0, 2, 1])), shape=(2, 3)),
    "csc": coo_array((np.ones(3), ([0, 0, 1], [0, 2, 1])), shape=(2, 3)).tocsc(),
    "stored zeros": csr_array((np.zeros(3), ([0, 0, 1], [0, 2, 1])), shape=(2, 3)),
    "unsorted": csr_array((np.ones(3), np.array([2, 0, 1]), np.array([0, 2, 3])), shape=(2, 3)),
}


@pytest.mark.parametrize("name", GIVEN)
def test_patterns_of_any_kind_are_taken(name):
    pattern = as_pattern(GIVEN[name], (2, 3))
    assert pattern.toarray().tolist() == [[True, False, True], [False, True, False]]
    assert pattern.dtype == np.bool_
    assert all(np.all(np.diff(pattern.indices[i:j]) > 0) for i, j in pairwise(pattern.indptr))


def test_a_given_pattern_stays_as_it_is():
    given = csr_array((np.ones(3), np.array([2, 0, 1]), np.array([0, 2, 3])), shape=(2, 3))
    as_pattern(given, (2, 3))
    assert given.indices.tolist() == [2, 0, 1]
    assert given.dtype == np.float64


@pytest.mark.parametrize(
    ("pattern", "error", "text"),
    [
        (
            np.ones((3, 2)),
            ValueError,
            r"pattern has to have the Jacobian's shape \(2, 3\).*\(3, 2\); this is its transpose",
        ),
        (np.ones((2, 4)), ValueError, r"got \(2, 4\)$"),
        (np.ones(3), ValueError, r"got \(3,\)"),
        (1.0, ValueError, r"got \(\)"),
        (csr_array(np.ones((3, 3))), ValueError, r"got \(3, 3\)"),
        ([[1, np.nan, 0], [0, 0, 0]], ValueError, r"pattern has NaN at \[0, 1\]; "),
        (csr_array([[0, 0, 0], [0, 0, np.nan]]), ValueError, r"pattern has NaN at \[1, 2\]"),
        (np.full((2, 3), np.nan), ValueError, r"\[0, 2\], \.\.\."),
        ([[1, 2], [3]], TypeError, "pattern has to be a scipy.sparse array"),
        ("banded", TypeError, "got str of dtype"),
        (None, TypeError, "got NoneType"),
        ([["a", "b", "c"]] * 2, TypeError, "got list of dtype <U1"),
    ],
)
def test_patterns_that_are_none_are_refused(pattern, error, text):
    with pytest.raises(error, match=text):
        as_pattern(pattern, (2, 3))


def test_entries_that_are_small_beside_what_they_are_made_of_are_found() -> None:
    n = 2000
    rng = np.random.default_rng(3)
    point = rng.normal(size=n)
    point[::50] = np.log(20) + 1e-5 * rng.normal(size=n // 50)  # -2 + exp(u) / 10 nearly cancels

    def push(vectors: np.ndarray) -> np.ndarray:
        padded = np.pad(vectors, ((0, 0), (1, 1)))
        return padded[:, 2:] - 2 * vectors + padded[:, :-2] + 0.1 * np.exp(point) * vectors

    found = recover_pattern([push], (n, n))
    assert found.pattern.nnz == 3 * n - 2
    assert found.products < 400
