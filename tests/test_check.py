"""`xcheck.check` end to end: wrong derivatives are caught at their place, right ones are not."""

from __future__ import annotations

import json

import numpy as np
import pytest

import xcheck
from xcheck import Verdict

SCALES = [(sx, sf) for sx in (1e-8, 1.0, 1e8) for sf in (1e-8, 1.0, 1e8)]
FEW_SCALES = {"float64": SCALES[2:7:2], "float32": SCALES[::8]}
"""A diagonal and two corners of them, for frameworks that evaluate small functions slowly."""


class Cubic:
    """`sf * tanh(x / sx)^3` in any framework, with a backward pass to be spoiled."""

    def __init__(self, xp, sx: float, sf: float) -> None:
        self.xp, self.sx, self.sf = xp, sx, sf

    def value(self, x):
        t = self.xp.tanh(x / self.sx)
        return self.sf * t * t * t

    def pullback(self, x, g):
        t = self.xp.tanh(x / self.sx)
        return g * (3 * self.sf / self.sx) * t * t * (1 - t * t)


SPOILS = {
    "right": lambda g, mask: g,
    "zero": lambda g, mask: 0 * g,
    "x1.001": lambda g, mask: 1.001 * g,
    "sign": lambda g, mask: -g,
    "one entry": lambda g, mask: g * mask,
}


def custom_torch(torch, op: Cubic, spoil, dtype: str):
    mask = torch.ones(5, dtype=getattr(torch, dtype))
    mask[3] = 1.01

    class Custom(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return op.value(x)

        @staticmethod
        def backward(ctx, g):
            return spoil(op.pullback(ctx.saved_tensors[0], g), mask)

    return Custom.apply, lambda a: torch.tensor(a)


def custom_jax(jax, op: Cubic, spoil, dtype: str):
    mask = np.ones(5, dtype)
    mask[3] = 1.01

    @jax.custom_vjp
    def custom(x):
        return op.value(x)

    custom.defvjp(lambda x: (op.value(x), x), lambda x, g: (spoil(op.pullback(x, g), mask),))
    return custom, lambda a: a


def custom_tensorflow(tf, op: Cubic, spoil, dtype: str):
    mask = np.ones(5, dtype)
    mask[3] = 1.01

    @tf.custom_gradient
    def custom(x):
        return op.value(x), lambda g: spoil(op.pullback(x, g), mask)

    return custom, tf.constant


def make(name: str, module, sx: float, sf: float, spoil: str, dtype: str):
    xp = module.numpy if name == "jax" else module
    maker = {"torch": custom_torch, "jax": custom_jax, "tensorflow": custom_tensorflow}[name]
    f, convert = maker(module, Cubic(xp, sx, sf), SPOILS[spoil], dtype)
    x = (np.random.default_rng(3).uniform(0.5, 2, 5) * sx).astype(dtype)
    return f, convert(x)


@pytest.fixture(params=["torch", "jax", "tensorflow"])
def framework(request):
    fixture = {"torch": "torch", "jax": "jax", "tensorflow": "tf"}[request.param]
    return request.param, request.getfixturevalue(fixture)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("spoil", ["right", "zero", "x1.001", "sign", "one entry"])
def test_planted_errors_are_caught_at_every_scale(framework, spoil: str, dtype: str) -> None:
    name, module = framework
    for sx, sf in SCALES if name == "torch" else FEW_SCALES[dtype]:
        f, x = make(name, module, sx, sf, spoil, dtype)
        report = xcheck.check(f, x, backend=name, raises=False)
        assert report.verdict is (Verdict.AGREE if spoil == "right" else Verdict.DISAGREE), (sx, sf, str(report))
        first = report.comparisons[0]
        if spoil == "one entry":
            assert first.wrong == 1
            assert first.worst[0].name == "d out[3] / d x[3]"
            assert first.worst[0].ratio == pytest.approx(1.01, rel=1e-4)
        elif spoil != "right":
            assert first.wrong == 5
            assert first.total == 25


def test_one_wrong_entry_of_ten_thousand_is_named(torch) -> None:
    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, matrix):
            ctx.save_for_backward(matrix)
            return matrix @ x

        @staticmethod
        def backward(ctx, g):
            gradient = ctx.saved_tensors[0].T @ g
            gradient[41] += 1e-3 * g[17]
            return gradient, None

    matrix = torch.randn(100, 100, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x = torch.randn(100, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    report = xcheck.check(lambda x: Wrong.apply(x, matrix), x, raises=False)
    assert report.comparisons[0].wrong == 1
    assert report.comparisons[0].total == 10_000
    assert report.comparisons[0].worst[0].name == "d out[17] / d x[41]"


def test_a_transposed_derivative_is_caught(torch) -> None:
    class Transposed(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, matrix):
            ctx.save_for_backward(matrix)
            return matrix @ x

        @staticmethod
        def backward(ctx, g):
            return ctx.saved_tensors[0] @ g, None

    matrix = torch.randn(40, 40, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    report = xcheck.check(lambda x: Transposed.apply(x, matrix), torch.ones(40, dtype=torch.float64), raises=False)
    assert report.verdict is Verdict.DISAGREE
    assert report.comparisons[0].wrong == 40 * 39


def test_none_is_reported_by_name_and_never_zero(torch) -> None:
    class Forgetful(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, weight):
            return x * weight

        @staticmethod
        def backward(ctx, g):
            return g, None

    x, weight = torch.ones(3, dtype=torch.float64), torch.ones(3, dtype=torch.float64)
    report = xcheck.check(Forgetful.apply, x, weight, raises=False)
    assert report.verdict is Verdict.DISAGREE
    assert "torch returned None for: weight" in report.comparisons[0].notes
    assert all("weight" in entry.name for entry in report.comparisons[0].worst)


def test_wrong_forward_rule_is_told_from_a_right_reverse_rule(torch) -> None:
    class Halves(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return 3 * x

        @staticmethod
        def backward(ctx, g):
            return 3 * g

        @staticmethod
        def jvp(ctx, t):
            return 1.5 * t

    for n in (5, 200):
        report = xcheck.check(Halves.apply, torch.ones(n, dtype=torch.float64), raises=False)
        verdicts = {(c.claim.source, c.reference.source): c.verdict for c in report.comparisons}
        assert verdicts["torch/vjp", "finite differences"] is Verdict.AGREE
        assert verdicts["torch/jvp", "finite differences"] is Verdict.DISAGREE
        assert verdicts["torch/jvp", "torch/vjp"] is Verdict.DISAGREE


def test_missing_forward_rule_is_said_to_be_unchecked(torch) -> None:
    class ReverseOnly(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return 3 * x

        @staticmethod
        def backward(ctx, g):
            return 3 * g

    report = xcheck.check(ReverseOnly.apply, torch.ones(3, dtype=torch.float64))
    assert any(line.startswith("torch/jvp: no rule") for line in report.unchecked)


@pytest.mark.parametrize("x", [0.0, 3e-7, -3e-7])
def test_relu_is_inconclusive_at_its_kink_and_right_beside_it(torch, x: float) -> None:
    report = xcheck.check(torch.relu, torch.tensor([x], dtype=torch.float64), raises=False)
    assert report.verdict is (Verdict.INCONCLUSIVE if x == 0 else Verdict.AGREE)
    if x == 0:
        assert "kink" in report.comparisons[0].reason
        assert "generalised derivative" in report.comparisons[0].reason


def test_a_claim_outside_the_slopes_of_a_kink_is_wrong(torch) -> None:
    class Steep(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.abs()

        @staticmethod
        def backward(ctx, g):
            return 1.5 * g

    report = xcheck.check(Steep.apply, torch.zeros(1, dtype=torch.float64), raises=False)
    assert report.verdict is Verdict.DISAGREE


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_the_same_operator_agrees_in_every_dtype(torch, dtype: str) -> None:
    x = torch.tensor([[0.5, 1.0], [2.0, -0.3]], dtype=getattr(torch, dtype))
    assert xcheck.check(torch.sin, x).ok
    assert xcheck.check(torch.mm, x, x.T.contiguous()).ok


def test_wrong_only_in_a_region_is_found_there_and_only_there(torch) -> None:
    class Region(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**2

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return torch.where(x > 3, 5 * x * g, 2 * x * g)

    assert xcheck.check(Region.apply, torch.tensor([1.0, 2.0], dtype=torch.float64)).ok
    report = xcheck.check(Region.apply, torch.tensor([1.0, 4.0], dtype=torch.float64), raises=False)
    assert report.comparisons[0].worst[0].name == "d out[1] / d x[1]"


@pytest.mark.parametrize("claim", [np.inf, -np.inf, np.nan])
def test_a_claim_that_is_not_finite_never_agrees(claim: float) -> None:
    x = np.array([1.0, 2.0])
    for budget in (None, 1):
        report = xcheck.check(
            lambda x: np.sum(np.sin(x)),
            x,
            gradient=lambda x: np.array([claim, np.cos(2.0)]),
            budget=budget,
            raises=False,
        )
        assert report.verdict is Verdict.DISAGREE, str(report)


def test_degenerate_eigenvectors_are_inconclusive(torch) -> None:
    eye = torch.eye(3, dtype=torch.float64)
    report = xcheck.check(lambda s: torch.linalg.eigh(s).eigenvectors.abs(), eye, raises=False)
    assert report.verdict is Verdict.INCONCLUSIVE
    report = xcheck.check(torch.linalg.eigvalsh, eye, raises=False)
    assert report.verdict is Verdict.INCONCLUSIVE


def test_slopes_along_the_inputs_that_do_not_add_up_are_no_derivative() -> None:
    def middle(x):
        return np.sort(x)[1]

    report = xcheck.check(middle, np.ones(3), gradient=lambda x: np.array([0.0, 1.0, 0.0]), raises=False)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "no derivative exists" in report.comparisons[0].reason
    report = xcheck.check(middle, np.array([1.0, 1.5, 2.0]), gradient=lambda x: np.array([0.0, 1.1, 0.0]), raises=False)
    assert report.verdict is Verdict.DISAGREE


def test_a_gradient_for_symmetric_matrices_is_called_a_convention(torch) -> None:
    matrix = torch.tensor([[2.0, 0.5, 0.1], [0.5, 3.0, -0.2], [0.1, -0.2, 1.0]], dtype=torch.float64)
    report = xcheck.check(torch.linalg.eigvalsh, matrix, raises=False)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "one triangle" in report.comparisons[0].reason
    assert xcheck.check(lambda a: torch.linalg.eigvalsh(a + a.T), matrix).ok


def test_dropout_is_pinned(torch) -> None:
    x = torch.linspace(0.1, 1.0, 8, dtype=torch.float64)
    before = torch.get_rng_state()
    report = xcheck.check(lambda x: torch.nn.functional.dropout(x, 0.5), x)
    assert report.ok
    assert any("random numbers" in note for note in report.notes)
    assert torch.equal(before, torch.get_rng_state())


def test_straight_through_estimators_are_wrong_derivatives(torch) -> None:
    class StraightThrough(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.round()

        @staticmethod
        def backward(ctx, g):
            return g

    report = xcheck.check(StraightThrough.apply, torch.tensor([0.3, 1.2], dtype=torch.float64), raises=False)
    assert report.verdict is Verdict.DISAGREE


def test_verdicts_raise_unless_told_otherwise() -> None:
    x = np.array([1.0, 2.0])
    with pytest.raises(xcheck.DerivativeError, match="DISAGREE") as wrong:
        xcheck.check(lambda x: np.sum(x**2), x, gradient=lambda x: 3 * x)
    assert isinstance(wrong.value, AssertionError)
    assert wrong.value.report.verdict is Verdict.DISAGREE
    with pytest.raises(xcheck.InconclusiveError) as open_:
        xcheck.check(lambda x: np.abs(x), 0.0, gradient=lambda x: np.asarray(0.0))
    assert open_.value.report.verdict is Verdict.INCONCLUSIVE


def test_a_report_has_no_truth_value_and_survives_json() -> None:
    report = xcheck.check(lambda x: np.sum(x**2), np.array([1.0, 0.0]), gradient=lambda x: 2 * x)
    with pytest.raises(TypeError, match=r"report\.ok"):
        bool(report)
    told = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert told["verdict"] == "agree"
    assert told["comparisons"][0]["claim"]["source"] == "gradient="
    assert told["comparisons"][0]["total"] == 2
    assert "AGREE" in str(report)


def test_the_detection_limit_is_honest() -> None:
    x = np.linspace(0.3, 1.7, 6)
    f = lambda x: np.sum(np.sin(3 * x))  # noqa: E731
    limit = xcheck.check(f, x, gradient=lambda x: 3 * np.cos(3 * x)).comparisons[0].detection_limit
    assert 0 < limit < 1e-7
    for j in range(6):
        error = np.zeros(6)
        error[j] = 2 * limit
        report = xcheck.check(f, x, gradient=lambda x, e=error: 3 * np.cos(3 * x) + e, raises=False)
        assert report.verdict is not Verdict.AGREE


def test_the_same_seed_gives_the_same_report() -> None:
    args = (lambda x: np.sum(np.exp(x)), np.linspace(0, 1, 4))
    first, second = (xcheck.check(*args, gradient=np.exp, seed=5) for _ in range(2))
    assert first == second


def test_nothing_passes_vacuously() -> None:
    with pytest.raises(ValueError, match="no automatic derivative"):
        xcheck.check(np.sin, np.ones(3))
    report = xcheck.check(lambda x: np.sum(x), np.zeros(0), gradient=lambda x: x, raises=False)
    assert report.verdict is Verdict.INCONCLUSIVE


def test_large_problems_are_probed_and_the_wrong_entry_is_found(torch) -> None:
    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return 2 * x

        @staticmethod
        def backward(ctx, g):
            gradient = 2 * g
            gradient[12_345] *= 1.5
            return gradient

    x = torch.randn(20_000, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    report = xcheck.check(Wrong.apply, x, raises=False)
    assert report.verdict is Verdict.DISAGREE
    worst = report.comparisons[0].worst[0]
    assert worst.name == "d out[12345] / d x[12345]"
    assert (worst.claimed, worst.measured) == (3.0, pytest.approx(2.0, rel=1e-6))
    assert xcheck.check(lambda x: 2 * x, x).ok


@pytest.mark.parametrize("n", [10, 1000, 20_000])
def test_size_never_dilutes_a_wrong_forward_rule(jax, n: int) -> None:
    @jax.custom_jvp
    def h(x):
        return 2.0 * x

    h.defjvp(lambda primals, tangents: (2.0 * primals[0], 0 * tangents[0]))
    x = np.random.default_rng(0).normal(size=n).astype(np.float32)
    assert xcheck.check(h, jax.numpy.asarray(x), raises=False).verdict is Verdict.DISAGREE


def test_a_large_sum_in_float32_agrees(jax) -> None:
    x = np.random.default_rng(0).normal(size=100_000).astype(np.float32)
    assert xcheck.check(lambda x: jax.numpy.sum(x**2), jax.numpy.asarray(x)).ok


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [1000, 20_000])
def test_padding_does_not_hide_a_wrong_entry(torch, n: int, dtype: str) -> None:
    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return torch.sin(x)

        @staticmethod
        def backward(ctx, g):
            gradient = g * torch.cos(ctx.saved_tensors[0])
            gradient[n // 3] *= 1.1
            return gradient

    x = torch.randn(n, dtype=getattr(torch, dtype), generator=torch.Generator().manual_seed(0))
    report = xcheck.check(Wrong.apply, x, raises=False)
    assert report.verdict is Verdict.DISAGREE
    assert report.comparisons[0].worst[0].name == f"d out[{n // 3}] / d x[{n // 3}]"
    assert xcheck.check(torch.sin, x).ok


def test_a_large_gradient_is_probed() -> None:
    x = np.random.default_rng(0).normal(size=50_000)
    gradient = np.cos(x)
    assert xcheck.check(lambda x: np.sum(np.sin(x)), x, gradient=lambda x: gradient).ok
    gradient[777] *= 1.01
    report = xcheck.check(lambda x: np.sum(np.sin(x)), x, gradient=lambda x: gradient, raises=False)
    assert report.comparisons[0].worst[0].name == "d out / d x[777]"
    assert report.evaluations < 5000


def test_float32_rounding_inside_a_right_rule_is_forgiven_and_a_wrong_rule_is_not(jax) -> None:
    log_ndtr = jax.scipy.special.log_ndtr  # its float32 derivative loses four digits at -85
    x = jax.numpy.asarray(np.float32([-85.0]))
    assert xcheck.check(log_ndtr, x).ok

    @jax.custom_vjp
    def wrong(x):
        return log_ndtr(x)

    wrong.defvjp(lambda x: (log_ndtr(x), x), lambda x, g: (1.01 * g * jax.grad(lambda v: log_ndtr(v)[0])(x),))
    assert xcheck.check(wrong, x, raises=False).verdict is Verdict.DISAGREE


def test_products_at_zero_hide_no_wrong_derivative() -> None:
    def layer(w, h):
        return w @ h

    w, h = np.zeros((3, 2)), np.array([0.3, -1.0])
    right = xcheck.check(layer, w, h, vjp=lambda w, h, g: (np.outer(g, h), w.T @ g))
    assert right.ok
    assert not right.notes
    wrong = xcheck.check(layer, w, h, vjp=lambda w, h, g: (np.outer(g, h), g[:2]), raises=False)
    assert wrong.verdict is Verdict.DISAGREE
    for f in (lambda x: x[0] * x[1], lambda x: np.sin(x[0] * x[1])):
        found = xcheck.check(f, np.array([0.0, 2.0]), gradient=lambda x: np.array([2.0, 2.0]), raises=False)
        assert found.verdict is Verdict.DISAGREE
        assert found.comparisons[0].wrong == 1


def test_what_is_constant_but_for_sums_of_rounded_numbers_agrees() -> None:
    def f(a):
        q, _ = np.linalg.qr(a)
        return q.T @ q

    a = np.random.default_rng(0).normal(size=(4, 4))
    zero = xcheck.check(f, a, jacobian=lambda a: np.zeros((16, 16)))
    assert zero.comparisons[0].detection_limit < 1e-10
    wrong = xcheck.check(f, a, jacobian=lambda a: np.full((16, 16), 1e-9), raises=False)
    assert wrong.verdict is Verdict.DISAGREE
