"""How inputs get from one framework to another: own buffers, one copy each; on request none."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

import xcheck
from xcheck.implementation import as_numpy
from xcheck.protocol import supports_view

X = np.arange(12.0).reshape(3, 4)


def address(array: Any) -> int:
    return int(array.__array_interface__["data"][0])


@pytest.mark.parametrize("dtype", ["float64", "float32", "complex128", "int32", "bool"])
def test_on_request_memory_is_read_in_place(backend: Any, dtype: str) -> None:
    native = backend.from_numpy(X.astype(dtype))
    if backend.name == "numpy":
        assert as_numpy([native], share=True)[0] is native
        return
    first, second = as_numpy([native, {"a": [native]}], share=True)
    np.testing.assert_array_equal(first, X.astype(dtype))
    assert first.dtype == dtype
    assert address(first) == address(second["a"][0])
    assert not first.flags.writeable


def test_what_changes_in_torch_shows_in_numpy(torch: Any) -> None:
    tensor = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    copied, shared = as_numpy([tensor])[0], as_numpy([tensor], share=True)[0]
    with torch.no_grad():
        tensor[1] = 5.0
    assert copied.tolist() == [0.0, 0.0, 0.0]
    assert shared.tolist() == [0.0, 5.0, 0.0]


def test_the_memory_is_that_of_jax(jax: Any) -> None:
    array = jax.numpy.ones(3, "float32")
    assert address(as_numpy([array], share=True)[0]) == array.unsafe_buffer_pointer()
    assert address(as_numpy([array])[0]) != array.unsafe_buffer_pointer()


def test_what_cannot_be_read_in_place_is_named(backend: Any) -> None:
    if backend.name == "numpy":
        assert not supports_view(backend)
        return
    native = backend.from_numpy(X.astype(ml_dtypes.bfloat16))
    assert as_numpy([native])[0].dtype == ml_dtypes.bfloat16
    with pytest.raises(
        BufferError, match=rf"share=True, and inputs\[1\]\['a'\], of {backend.name} and dtype .*bfloat16"
    ):
        as_numpy([X, {"a": native}], share=True)


def test_views_that_negate_have_no_memory_of_their_own(torch: Any) -> None:
    tensor = torch.ones(3, dtype=torch.complex128).conj()
    with pytest.raises(BufferError, match="has no memory that NumPy could read"):
        as_numpy([tensor], share=True)
    assert as_numpy([tensor.imag])[0].tolist() == [0.0, 0.0, 0.0]


def test_conversions_have_memory_of_their_own(backend: Any) -> None:
    given = X.copy()
    native = backend.from_numpy(given)
    given[0, 0] = 7.0
    back = backend.to_numpy(native)
    back[0, 1] = 8.0
    np.testing.assert_array_equal(backend.to_numpy(native), X)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128", "int64", "bfloat16"])
def test_long_arrays_have_memory_of_their_own(backend: Any, dtype: str) -> None:
    kind = np.dtype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    given = np.arange(2**20).astype(kind).reshape(2**10, -1).T
    native, before = backend.from_numpy(given), given.copy()
    given[0, 0] = given[-1, -1] = 7
    back = np.asarray(backend.to_numpy(native))
    assert back.dtype == kind
    np.testing.assert_array_equal(back, before)


@pytest.mark.parametrize("dtype", ["float64", "bfloat16", "int8", "bool", "complex64"])
@pytest.mark.parametrize("shape", [(), (0,), (5,), (2, 3)])
def test_conversions_keep_shapes_and_dtypes(backend: Any, dtype: str, shape: tuple[int, ...]) -> None:
    kind = np.dtype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    given = np.ones((*shape, 3), kind)[..., 1]  # not contiguous
    back = np.asarray(backend.to_numpy(backend.from_numpy(given)))
    assert back.dtype == kind
    np.testing.assert_array_equal(back, given)


def test_cross_checks_leave_shared_inputs_as_they_are(torch: Any, jax: Any) -> None:
    x = torch.tensor([0.3, -1.0], dtype=torch.float64)
    before = x.clone()
    functions = {"torch": lambda x: x.mul_(1.0).tanh(), "jax": jax.numpy.tanh}
    report = xcheck.crosscheck(functions, x, share=True, raises=False)
    assert torch.equal(x, before)
    assert report.rows[0].values["jax"] > 14
    with pytest.raises(BufferError, match=r"inputs\[0\], of torch and dtype torch\.bfloat16, cannot be read in place"):
        xcheck.crosscheck(functions, x.bfloat16(), share=True)
