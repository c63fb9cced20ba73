"""Arrays of all shapes and dtypes laid end to end, and back, with a name for every number."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hn

from xcheck.space import PRECISION, Block, Space, is_differentiable, widened

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
DTYPES = [BFLOAT16 if name == "bfloat16" else np.dtype(name) for name in PRECISION]


@st.composite
def blocks(draw: st.DrawFn) -> list[np.ndarray]:
    lead = draw(st.sampled_from([(), (1,), (3,), (0,), (2, 2)]))
    shapes = draw(st.lists(hn.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3), min_size=1, max_size=4))
    arrays = []
    for shape in shapes:
        dtype = draw(st.sampled_from(DTYPES))
        drawn = np.float32 if dtype == BFLOAT16 else dtype
        array = draw(hn.arrays(drawn, (*lead, *shape), elements=hn.from_dtype(np.dtype(drawn), allow_nan=True)))
        with np.errstate(all="ignore"):
            arrays.append(array.astype(dtype))
    return [np.zeros(lead), *arrays]


@np.errstate(all="ignore")
@settings(deadline=None, max_examples=60)
@given(blocks())
def test_unpack_undoes_pack(drawn: list[np.ndarray]) -> None:
    lead, arrays = drawn[0].shape, drawn[1:]
    space = Space.of([f"x{i}" for i in range(len(arrays))], [np.zeros(a.shape[len(lead) :], a.dtype) for a in arrays])

    vectors = space.pack(arrays)
    back = space.unpack(vectors)

    assert vectors.shape == (*lead, space.size)
    assert vectors.dtype == np.float64
    for array, again in zip(arrays, back, strict=True):
        assert (again.dtype, again.shape) == (array.dtype, array.shape)
        now, before = (
            again.astype(widened(again.dtype)),
            array.astype(widened(array.dtype)),
        )  # of bfloat16 NaN is unequal
        np.testing.assert_array_equal(now, before)
        np.testing.assert_array_equal(
            1 / now.real[now.real == 0], 1 / before.real[before.real == 0]
        )  # the sign of zero


@settings(deadline=None, max_examples=60)
@given(blocks())
def test_every_place_has_a_name_of_its_own(drawn: list[np.ndarray]) -> None:
    space = Space.of([f"x{i}" for i in range(len(drawn))], drawn)

    names = [space.entry(i) for i in range(space.size)]

    assert len(set(names)) == space.size
    assert all(name.startswith(space.block_of(i).name) for i, name in enumerate(names))


@pytest.mark.parametrize(
    ("array", "names"),
    [
        (np.float64(1), ["x"]),
        (np.zeros(2), ["x[0]", "x[1]"]),
        (np.zeros((1, 2)), ["x[0, 0]", "x[0, 1]"]),
        (np.complex128(1), ["x.real", "x.imag"]),
        (np.zeros(1, np.complex64), ["x[0].real", "x[0].imag"]),
        (np.zeros((0, 3)), []),
    ],
)
def test_entries_are_named_as_users_index_them(array: Any, names: list[str]) -> None:
    space = Space.of(["x"], [np.asarray(array)])

    assert [space.entry(i) for i in range(space.size)] == names


def test_complex_numbers_are_pairs_of_reals() -> None:
    space = Space.of(["z", "x"], [np.array([1 + 2j, 3 - 4j]), np.array(5.0)])

    np.testing.assert_array_equal(space.pack([np.array([1 + 2j, 3 - 4j]), np.array(5.0)]), [1, 2, 3, -4, 5])


def test_complex_numbers_never_lose_their_imaginary_part_in_a_real_block() -> None:
    with pytest.raises(TypeError, match=r"x is real \(float64\), but its new values are complex \(complex128\)"):
        Block("x", (2,), np.dtype(float), 0).pack(np.array([1j, 2.0]))


def test_an_infinite_part_leaves_the_other_part_alone() -> None:
    space = Space.of(["z"], [np.zeros(1, complex)])

    (z,) = space.unpack(np.array([1.0, np.inf]))

    assert z[0].real == 1.0
    assert z[0].imag == np.inf


def test_precision_is_that_of_the_coarsest_dtype() -> None:
    arrays = [np.zeros(1), np.zeros(1, np.float32), np.zeros(1, BFLOAT16)]

    assert Space.of("abc", arrays).precision == 8
    assert Space.of("ab", arrays[:2]).precision == 24
    assert Space.of("", []).precision == 53


def test_the_wide_space_keeps_names_shapes_and_kinds() -> None:
    space = Space.of("abc", [np.zeros(2, BFLOAT16), np.zeros((1, 2), np.complex64), np.zeros((), np.float64)])

    wide = space.in_float64()

    assert [(b.name, b.shape, b.dtype.name) for b in wide.blocks] == [
        ("a", (2,), "float64"),
        ("b", (1, 2), "complex128"),
        ("c", (), "float64"),
    ]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_wide_dtypes_hold_every_number_of_the_narrow_ones(dtype: np.dtype[Any]) -> None:
    assert is_differentiable(dtype)
    assert widened(dtype).name == ("complex128" if dtype.kind == "c" else "float64")


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint64", "U3", "object", "longdouble", "datetime64[s]"])
def test_other_dtypes_have_no_derivatives(dtype: str) -> None:
    assert not is_differentiable(np.dtype(dtype))
