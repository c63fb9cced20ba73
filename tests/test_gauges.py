"""Outputs that are defined up to sign, phase, order or basis: what is compared instead, and what is still found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import xcheck
from xcheck.agreement import Cause
from xcheck.gauges.recognition import free_phases, likely_gauge
from xcheck.verdict import Verdict

torch = pytest.importorskip("torch")
jax = pytest.importorskip("jax")
tf = pytest.importorskip("tensorflow")
jnp = jax.numpy

Functions = dict[str, Callable[..., Any]]

GENERATOR = np.random.default_rng(0)
SQUARE = GENERATOR.normal(size=(3, 3))
COMPLEX = SQUARE[:2, :2] + 1j * GENERATOR.normal(size=(2, 2))
TALL = GENERATOR.normal(size=(4, 3))
BATCH = GENERATOR.normal(size=(2, 3, 3))

EIGH: Functions = {  # of the Hermitian part: which triangle is read plays no role
    "torch": lambda x: torch.linalg.eigh(x + x.mH),
    "jax": lambda x: jnp.linalg.eigh(x + x.conj().mT),
    "tensorflow": lambda x: tf.linalg.eigh(x + tf.linalg.adjoint(x)),
    "numpy": lambda x: np.linalg.eigh(x + x.conj().swapaxes(-1, -2)),
}
SVD: Functions = {
    "torch": lambda x: torch.linalg.svd(x, full_matrices=False),
    "jax": lambda x: jnp.linalg.svd(x, full_matrices=False),
    "tensorflow": tf.linalg.svd,
    "numpy": lambda x: np.linalg.svd(x, full_matrices=False),
}
QR: Functions = {"torch": torch.linalg.qr, "jax": jnp.linalg.qr, "tensorflow": tf.linalg.qr, "numpy": np.linalg.qr}
EIG: Functions = {
    "torch": torch.linalg.eig,
    "jax": lambda x: jax.lax.linalg.eig(x, compute_left_eigenvectors=False, enable_eigvec_derivs=True),
    "tensorflow": tf.linalg.eig,
    "numpy": np.linalg.eig,
}
EIGVALS: Functions = {
    "torch": torch.linalg.eigvals,
    "jax": jnp.linalg.eigvals,
    "tensorflow": tf.linalg.eigvals,
    "numpy": np.linalg.eigvals,
}
REAL = SQUARE @ np.diag([1.0, 2.0, 4.0]) @ np.linalg.inv(SQUARE)
"""A matrix whose eigenvalues are real: NumPy's are of a real dtype then."""


def seen(functions: Functions, kind: Any) -> Functions:
    return {label: xcheck.invariant(f, kind) for label, f in functions.items()}


@pytest.mark.parametrize(
    ("functions", "kind", "x"),
    [
        (EIGH, "eigh", SQUARE),
        (EIGH, "eigh", COMPLEX),
        (EIGH, "eigh", BATCH),
        (SVD, "svd", TALL),
        (SVD, "svd", COMPLEX),
        (QR, "qr", TALL),
        (QR, "qr", TALL.T),
        (QR, "qr", COMPLEX),
        ({k: f for k, f in EIG.items() if k != "jax"}, "eig", SQUARE),
        (EIG, "eig", REAL),
        (EIGVALS, "eigvals", SQUARE),
        (EIGVALS, "eigvals", REAL),
    ],
)
def test_invariants_are_the_same_in_all_frameworks(functions: Functions, kind: str, x: np.ndarray) -> None:
    report = xcheck.crosscheck(seen(functions, kind), x)
    assert report.ok
    assert all(len(row.values) == len(functions) - 1 for row in report.rows)
    assert min(d for row in report.rows for d in row.derivatives.values()) > 6
    assert sum(note.startswith("compared: ") for note in report.notes) == 1
    assert all(any(n.startswith("compared: ") for n in own.notes) for own in report.reports.values())


def turned(f: Callable[..., Any], signs: np.ndarray) -> Callable[..., Any]:
    """Return eigenvalues and eigenvectors with other signs, or phases, chosen for the latter."""

    def chosen(x: Any) -> Any:
        w, v = f(x)
        return w, v * jnp.asarray(signs)

    return chosen


@pytest.mark.parametrize("signs", [np.array([1.0, -1.0, 1.0]), np.array([-1.0, -1.0, 1.0])])
def test_signs_are_not_taken_for_other_functions_and_the_kind_is_suggested(signs: np.ndarray) -> None:
    functions = {"torch": EIGH["torch"], "jax": turned(EIGH["jax"], signs)}
    report = xcheck.crosscheck(functions, SQUARE, raises=False)
    assert report.verdict is Verdict.DISAGREE
    assert any("but for signs or phases; xcheck.invariant(f, 'eigh')" in note for note in report.notes)
    assert xcheck.crosscheck(seen(functions, "eigh"), SQUARE).ok


def test_tensorflow_s_order_of_outputs_is_suggested_to_be_seen_through() -> None:
    report = xcheck.crosscheck({"torch": SVD["torch"], "tensorflow": SVD["tensorflow"]}, TALL, raises=False)
    assert not report.ok
    assert any("xcheck.invariant(f, 'svd') around each would make them fit" in note for note in report.notes)


def test_phases_of_complex_vectors_are_told_from_wrong_derivatives() -> None:
    functions = {"jax": EIGH["jax"], "numpy": EIGH["numpy"]}
    report = xcheck.crosscheck(functions, COMPLEX, raises=False)
    assert not report.ok
    assert any("defined up to phase" in note and "'eigh'" in note for note in report.notes)
    own = xcheck.check(EIGH["jax"], COMPLEX, backend="jax", raises=False)
    assert own.ok or any("defined up to phase" in note for note in own.notes)


class WrongEigenvectors(torch.autograd.Function):
    """Eigenvectors of a symmetric matrix; the gaps between eigenvalues are taken with a factor."""

    factor = 1.01

    @staticmethod
    def forward(ctx: Any, a: Any) -> Any:
        w, v = torch.linalg.eigh(a)
        ctx.save_for_backward(w, v)
        return w, v

    @staticmethod
    def backward(ctx: Any, gw: Any, gv: Any) -> Any:
        w, v = ctx.saved_tensors
        gaps = w[None, :] - w[:, None]
        gaps.fill_diagonal_(torch.inf)
        return v @ (torch.diag(gw) + WrongEigenvectors.factor * (v.mT @ gv) / gaps) @ v.mT


def test_a_wrong_derivative_of_eigenvectors_is_found_through_projectors(monkeypatch: pytest.MonkeyPatch) -> None:
    functions = {"torch": lambda x: WrongEigenvectors.apply(x + x.mT), "jax": EIGH["jax"]}
    report = xcheck.crosscheck(seen(functions, "eigh"), SQUARE, raises=False)
    assert report.verdict is Verdict.DISAGREE
    (wrong,) = (d for d in report.differences if d.cause is Cause.WRONG)
    assert wrong.blamed == ("torch",)
    assert "d out['projectors'][" in report.findings[0]
    monkeypatch.setattr(WrongEigenvectors, "factor", 1.0)
    assert xcheck.crosscheck(seen(functions, "eigh"), SQUARE).ok


@pytest.mark.parametrize(("kind", "which"), [("qr", 0), ("qr", 1), ("svd", 0), ("svd", 2)])
def test_a_wrong_length_of_one_factor_is_found_though_the_other_makes_up_for_it(kind: str, which: int) -> None:
    def stretched(x: Any) -> Any:
        outputs = list((SVD if kind == "svd" else QR)["torch"](x))
        other = {"qr": 1, "svd": 2}[kind] - which
        grow = 1 + 0.1 * (x.sum() - x.sum().detach())  # 1, and its derivative is not 0
        outputs[which], outputs[other] = outputs[which] * grow, outputs[other] / grow
        return tuple(outputs)

    report = xcheck.check(xcheck.invariant(stretched, kind), torch.tensor(TALL), raises=False)
    assert report.verdict is Verdict.DISAGREE
    assert "norms" in report.comparisons[0].worst[0].name


DEGENERATE = np.diag([0.5, 0.5, 1.0])


def test_single_eigenvectors_of_a_repeated_eigenvalue_have_no_derivative() -> None:
    for x in (DEGENERATE, np.linalg.qr(SQUARE)[0] @ DEGENERATE @ np.linalg.qr(SQUARE)[0].T):
        report = xcheck.crosscheck(seen(EIGH, "eigh"), x, raises=False)
        assert report.verdict is Verdict.INCONCLUSIVE
        assert not {d.cause for d in report.differences} & {Cause.WRONG, Cause.FUNCTION}


def test_the_projector_onto_all_eigenvectors_of_a_repeated_eigenvalue_has_one() -> None:
    subspace = xcheck.invariant(lambda x: EIGH["tensorflow"](x)[1][:, :2], "projector")
    report = xcheck.check(subspace, DEGENERATE, backend="tensorflow")
    assert report.ok
    assert any("the projector onto the span" in note for note in report.notes)
    lost = xcheck.invariant(lambda x: EIGH["torch"](x)[1][:, :2], "projector")
    report = xcheck.check(lost, torch.tensor(DEGENERATE), raises=False)  # the gap of zero is divided by
    assert report.verdict is Verdict.DISAGREE
    assert np.isnan(report.comparisons[0].worst[0].claimed)


def test_kinds_of_single_outputs() -> None:
    q = {"torch": lambda x: torch.linalg.qr(x)[0], "jax": lambda x: -jnp.linalg.qr(x)[0]}
    for kind, shape in (("columns", (3, 4, 4)), ("projector", (4, 4)), ("absolute", (4, 3))):
        functions = seen(q, kind)
        assert functions["torch"](torch.tensor(TALL)).shape == shape
        assert xcheck.crosscheck(functions, TALL).ok
    rows = {label: lambda x, f=f: f(x).T for label, f in q.items()}
    assert xcheck.crosscheck(seen(rows, "rows"), TALL).ok
    backwards = {"torch": lambda x: torch.flip(torch.sin(x), (0,)), "jax": jnp.sin}
    assert xcheck.crosscheck(seen(backwards, "unordered"), TALL[:, 0]).ok


def test_power_sums_are_smooth_where_eigenvalues_meet() -> None:
    def both(a: Any) -> Any:
        return torch.linalg.eigvals(torch.stack([a, 0 * a, 0 * a, 2 - a]).reshape(2, 2))

    x = torch.tensor(1.0, dtype=torch.float64)
    assert xcheck.check(xcheck.invariant(both, "eigvals"), x).ok
    assert not xcheck.check(lambda a: torch.sort(both(a).real).values, x, raises=False).ok


def test_trees_of_kinds() -> None:
    def f(x: Any) -> Any:
        w, v = torch.linalg.eigh(x + x.mT)
        return {"loss": w.sum(), "basis": (v[:, :2], w)}

    kinds = {"loss": None, "basis": ("projector", "unordered")}
    wrapped = xcheck.invariant(f, kinds)
    x = torch.tensor(SQUARE)
    out = wrapped(x)
    assert out["loss"] == f(x)["loss"]
    assert out["basis"][0].shape == (3, 3)
    assert torch.allclose(torch.stack(out["basis"][1]), torch.stack([(f(x)["basis"][1] ** k).sum() for k in (1, 2, 3)]))
    report = xcheck.check(wrapped, x)
    (note,) = (n for n in report.notes if n.startswith("compared: "))
    assert "(out['basis'][0])" in note
    assert "(out['basis'][1])" in note


def test_complete_decompositions_are_compared_by_the_columns_that_are_defined() -> None:
    full = {"torch": lambda x: torch.linalg.svd(x), "numpy": np.linalg.svd}
    assert xcheck.crosscheck(seen(full, "svd"), TALL).ok
    complete = {"jax": lambda x: jnp.linalg.qr(x)[:2], "numpy": lambda x: np.linalg.qr(x, mode="complete")}
    assert xcheck.crosscheck(seen(complete, "qr"), TALL).ok


def test_invariants_go_together_with_layouts() -> None:
    def last(x: Any) -> Any:  # a batch along the last axis
        return tf.linalg.eigh(tf.transpose(x, (2, 0, 1)) + tf.transpose(x, (2, 1, 0)))

    outer = xcheck.layout(xcheck.invariant(last, "eigh"), inputs="BIJ->IJB")
    inner = xcheck.invariant(xcheck.layout(last, inputs="BIJ->IJB"), "eigh")
    for arranged in (outer, inner):
        report = xcheck.crosscheck({"torch": xcheck.invariant(EIGH["torch"], "eigh"), "tensorflow": arranged}, BATCH)
        assert report.ok
        assert sum("compared: " in note for note in report.notes) == 1
        assert any("d x[" in name or "x in" in name for name in report.reports["tensorflow"].point)


def test_invariants_of_modules_keep_their_parameters() -> None:
    class Rotation(torch.nn.Module):
        def __init__(self, sign: float) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.tensor(SQUARE))
            self.sign = sign

        def forward(self, x: Any) -> Any:
            return self.sign * torch.linalg.qr(self.weight * x)[0]

    functions = {"torch": Rotation(1.0), "torch, minus": Rotation(-1.0)}
    report = xcheck.crosscheck({k: xcheck.invariant(m, "columns") for k, m in functions.items()}, np.ones(3))
    assert any("weight" in line for line in report.reports["torch, minus"].point)


def test_invariants_keep_the_parameters_of_a_layout() -> None:
    def f(w: Any, x: Any) -> Any:
        return jnp.linalg.qr(w["kernel"] * x)[0]

    ported = xcheck.layout(f, parameters={"kernel": SQUARE})
    functions = {"jax": xcheck.invariant(ported, "columns"), "torch": xcheck.layout(Negative(), names=NEGATIVE)}
    functions["torch"] = xcheck.invariant(functions["torch"], "columns")
    report = xcheck.crosscheck(functions, np.ones(3))
    assert any("kernel" in line for line in report.reports["torch"].point)


NEGATIVE = {"kernel": ("weight", "AB->BA")}


class Negative(torch.nn.Module):
    """Minus the first factor of the transpose of a parameter, kept the other way round."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(SQUARE.T.copy()))

    def forward(self, x: Any) -> Any:
        return -torch.linalg.qr(self.weight.mT * x)[0]


def test_it_is_said_which_implementations_are_not_seen_through_invariants() -> None:
    functions = {"torch": xcheck.invariant(torch.sin, "absolute"), "jax": lambda x: abs(jnp.sin(x))}
    report = xcheck.crosscheck(functions, np.array([0.3, -0.4]))
    assert "jax: compared: its outputs as they are" in report.notes


@pytest.mark.parametrize(
    ("kind", "error", "message"),
    [
        ("eigen", ValueError, "kind='eigen' is unknown. Accepted: 'eigh', 'eig', 'eigvals', 'svd', 'qr'"),
        (("qr", "lu"), ValueError, "kind='lu' is unknown"),
        (3, TypeError, "kind=3 is a int. Accepted: 'eigh'"),
        (None, ValueError, "kind=None names no output"),
        ({"w": None}, ValueError, "names no output"),
    ],
)
def test_bad_kinds_are_named(kind: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        xcheck.invariant(np.linalg.eigh, kind)


def test_something_that_is_no_function_is_named() -> None:
    with pytest.raises(TypeError, match="f must be callable; given: ndarray"):
        xcheck.invariant(SQUARE, "eigh")


@pytest.mark.parametrize(
    ("f", "kind", "message"),
    [
        (
            np.linalg.svd,
            "eigh",
            r"kind='eigh' needs two arrays, eigenvalues .* its output has the shapes \(3, 3\), \(3",
        ),
        (np.linalg.eigvalsh, "eigh", r"needs two arrays.*its output has the shapes \(3,\)"),
        (np.linalg.eigh, "svd", "kind='svd' needs three arrays, U, S and V"),
        (np.linalg.eigh, "qr", "kind='qr' needs two arrays, Q"),
        (np.linalg.eigvalsh, "columns", r"needs one array of two dimensions or more; its output has the shapes \(3,\)"),
        (np.sum, "projector", "needs one array of two dimensions or more"),
        (np.sum, "unordered", "needs one array of one dimension or more"),
        (np.linalg.eigh, (None, None, "columns"), "has 3 kinds for its output, which is a sequence of 2"),
        (np.linalg.eigh, {"v": "columns"}, "has kinds for .'v'. of its output, which is EighResult"),
        (lambda x: {"w": x}, {"v": "columns"}, "which is a mapping of .'w'."),
        (np.sum, ("absolute",), "has 1 kinds for its output, which is float64"),
    ],
)
def test_outputs_of_another_structure_are_named(f: Callable[..., Any], kind: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        xcheck.invariant(f, kind)(SQUARE)


def test_outputs_that_are_no_arrays_are_named() -> None:
    with pytest.raises(TypeError, match="a str is no array"):
        xcheck.invariant(lambda x: "no array", "absolute")(SQUARE)


def unit(matrix: np.ndarray) -> np.ndarray:
    return matrix / np.linalg.norm(matrix, axis=-2)


def test_gauges_are_recognised_from_values() -> None:
    w, v = np.linalg.eigh(SQUARE + 1j * SQUARE**2 + (SQUARE + 1j * SQUARE**2).conj().T)
    phases = np.exp(1j * np.array([0.3, 2.0, -1.0]))
    u, s, vh = np.linalg.svd(TALL)
    q, r = np.linalg.qr(TALL)
    signs = np.array([1.0, -1.0, -1.0])
    assert likely_gauge([w, v], [w, v * phases]) == "eigh"
    assert likely_gauge([u, s, vh], [s, u[:, :3] * signs, vh.T * signs]) == "svd"
    assert likely_gauge([q, r], [q * signs, signs[:, None] * r]) == "qr"
    assert likely_gauge([v], [v * phases]) == "columns"
    assert likely_gauge([v.T], [(v * phases).T]) in ("columns", "rows")
    assert likely_gauge([q[:, :2]], [q[:, :2] @ np.linalg.qr(SQUARE[:2, :2])[0]]) == "projector"
    assert likely_gauge([w], [w[::-1]]) == "unordered"
    wc, vc = np.linalg.eig(SQUARE)
    assert likely_gauge([wc, vc], [wc[::-1], (vc * phases)[:, ::-1]]) == "eig"


def test_other_numbers_are_not_taken_for_another_gauge() -> None:
    w, v = np.linalg.eigh(SQUARE + SQUARE.T)
    assert likely_gauge([w, v], [w, unit(v + 0.01 * SQUARE)]) == ""
    assert likely_gauge([w, v], [w + 0.01, -v]) == ""
    assert likely_gauge([w], [-w]) == ""  # a wrong sign
    assert likely_gauge([SQUARE], [-SQUARE]) == ""
    assert likely_gauge([np.float64(2.0)], [np.float64(-2.0)]) == ""
    assert likely_gauge([w, v * np.nan], [w, v]) == ""
    assert likely_gauge([w], [w[:2]]) == ""
    assert free_phases([SQUARE]) == []
    assert free_phases([COMPLEX]) == []
    assert free_phases([w, v]) == []
