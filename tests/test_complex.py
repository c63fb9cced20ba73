"""Complex functions of every kind, in every framework's own convention, and what the report says of them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import xcheck
from xcheck import Verdict

Z = np.array([0.6 + 0.8j, -1.1 + 0.3j, 0.4 - 2.0j])
X = np.array([0.6, -1.1, 0.4])
FRAMEWORKS = {"torch": "torch", "jax": "jax", "tensorflow": "tf"}


def numpy_operations() -> SimpleNamespace:
    return SimpleNamespace(re=np.real, im=np.imag, conj=np.conj, exp=np.exp, join=lambda a, b: a + 1j * b, sum=np.sum)


def torch_operations(torch: Any) -> SimpleNamespace:
    return SimpleNamespace(
        re=lambda z: z.real, im=lambda z: z.imag, conj=torch.conj, exp=torch.exp, join=torch.complex, sum=torch.sum
    )


def jax_operations(jax: Any) -> SimpleNamespace:
    j = jax.numpy
    return SimpleNamespace(re=j.real, im=j.imag, conj=j.conj, exp=j.exp, join=lambda a, b: a + 1j * b, sum=j.sum)


def tensorflow_operations(tf: Any) -> SimpleNamespace:
    m = tf.math
    return SimpleNamespace(re=m.real, im=m.imag, conj=m.conj, exp=m.exp, join=tf.complex, sum=m.reduce_sum)


KINDS = {
    "C->R": (lambda o, z: o.sum(o.re(z) ** 2 * o.im(z) + 3 * o.im(z)), Z),
    "C->R, many": (lambda o, z: o.re(z) * o.im(z) ** 2, Z),
    "R->C": (lambda o, x: o.join(x * x, x * x * x), X),
    "C->C, holomorphic": (lambda o, z: z * z * o.exp(z), Z),
    "C->C, conjugated": (lambda o, z: o.conj(z) * o.exp(z), Z),
    "C->C, scalar": (lambda o, z: o.sum(z * o.conj(z) * z), Z),
}


@pytest.fixture(params=list(FRAMEWORKS))
def framework(request: Any) -> tuple[str, Any, SimpleNamespace]:
    module = request.getfixturevalue(FRAMEWORKS[request.param])
    operations = {"torch": torch_operations, "jax": jax_operations, "tensorflow": tensorflow_operations}
    return request.param, module, operations[request.param](module)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bits", [64, 128])
def test_right_derivatives_of_every_kind_agree(framework: Any, kind: str, bits: int) -> None:
    name, _, operations = framework
    f, x = KINDS[kind]
    x = x.astype(f"complex{bits}" if x.dtype.kind == "c" else f"float{bits // 2}")
    report = xcheck.check(lambda x: f(operations, x), x, backend=name, raises=False)
    assert report.ok, str(report)
    assert {c.claim.source for c in report.comparisons} == {f"{name}/vjp", f"{name}/jvp"}


# A conjugation error in a custom rule, in each framework's own convention


def square(name: str, module: Any, wrong: bool) -> Any:
    """`z^2` with a rule that conjugates where the framework does not, or the other way round."""
    if name == "torch":

        class Square(module.autograd.Function):
            @staticmethod
            def forward(ctx: Any, z: Any) -> Any:
                ctx.save_for_backward(z)
                return z * z

            @staticmethod
            def backward(ctx: Any, g: Any) -> Any:
                (z,) = ctx.saved_tensors
                return g * 2 * (z if wrong else z.conj())

        return Square.apply
    if name == "jax":
        custom = module.custom_vjp(lambda z: z * z)
        custom.defvjp(lambda z: (z * z, z), lambda z, g: (g * 2 * (z.conj() if wrong else z),))
        return custom
    conj = module.math.conj
    return module.custom_gradient(lambda z: (z * z, lambda g: g * 2 * (z if wrong else conj(z))))


def size(name: str, module: Any, wrong: bool) -> Any:
    """`|z|^2` with a rule that conjugates where the framework does not, or the other way round."""
    if name == "torch":

        class Size(module.autograd.Function):
            @staticmethod
            def forward(ctx: Any, z: Any) -> Any:
                ctx.save_for_backward(z)
                return z.real**2 + z.imag**2

            @staticmethod
            def backward(ctx: Any, g: Any) -> Any:
                (z,) = ctx.saved_tensors
                return g * 2 * (z.conj() if wrong else z)

        return Size.apply
    if name == "jax":
        custom = module.custom_vjp(lambda z: z.real**2 + z.imag**2)
        custom.defvjp(lambda z: (z.real**2 + z.imag**2, z), lambda z, g: (g * 2 * (z if wrong else z.conj()),))
        return custom
    real, imag, conj, cast = module.math.real, module.math.imag, module.math.conj, module.cast
    return module.custom_gradient(
        lambda z: (
            real(z) ** 2 + imag(z) ** 2,
            lambda g: cast(g, z.dtype) * 2 * (conj(z) if wrong else z),
        )
    )


@pytest.mark.parametrize("build", [square, size])
def test_a_conjugation_error_is_found_and_its_right_twin_is_not(framework: Any, build: Any) -> None:
    name, module, _ = framework
    for wrong in (False, True):
        report = xcheck.check(build(name, module, wrong), Z, backend=name, raises=False)
        reverse = report.comparisons[0]
        assert reverse.claim.source == f"{name}/vjp"
        assert reverse.verdict is (Verdict.DISAGREE if wrong else Verdict.AGREE), str(report)
        if wrong:  # the conjugate is right about the real part of a real function, and wrong about the imaginary one
            assert ".imag" in reverse.worst[0].name


def test_a_conjugation_error_of_forward_mode_is_found(jax: Any) -> None:
    @jax.custom_jvp
    def square(z: Any) -> Any:
        return z * z

    square.defjvp(lambda primals, tangents: (primals[0] ** 2, 2 * primals[0].conj() * tangents[0]))
    report = xcheck.check(square, Z, backend="jax", raises=False)
    forward = next(c for c in report.comparisons if c.claim.source == "jax/jvp" and c.method == "every entry")
    assert forward.verdict is Verdict.DISAGREE


# Hand-written derivatives


def diagonal(d: Any) -> Any:
    return lambda z: np.diag(d(z))


NUMPY = numpy_operations()
WRITTEN = {
    "gradient C->R": (
        lambda z: np.sum(np.abs(z) ** 2 + z.imag),
        Z,
        {"gradient": lambda z: 2 * z + 1j},
        {"gradient": lambda z: np.conj(2 * z + 1j)},
    ),
    "jacobian C->R": (
        lambda z: z.real * z.imag,
        Z,
        {"jacobian": diagonal(lambda z: z.imag + 1j * z.real)},
        {"jacobian": diagonal(lambda z: z.imag - 1j * z.real)},
    ),
    "jacobian R->C": (
        lambda x: np.exp(1j * x) * x,
        X,
        {"jacobian": diagonal(lambda x: np.exp(1j * x) * (1 + 1j * x))},
        {"jacobian": diagonal(lambda x: np.exp(-1j * x) * (1 - 1j * x))},
    ),
    "jacobian C->C": (
        lambda z: z**3,
        Z,
        {"jacobian": diagonal(lambda z: 3 * z**2)},
        {"jacobian": diagonal(lambda z: 3 * np.conj(z) ** 2)},
    ),
    "vjp C->R": (
        lambda z: np.abs(z) ** 2,
        Z,
        {"vjp": lambda z, g: 2 * z * g},
        {"vjp": lambda z, g: 2 * np.conj(z) * g},
    ),
    "vjp R->C": (
        lambda x: np.exp(1j * x),
        X,
        {"vjp": lambda x, g: np.real(np.conj(1j * np.exp(1j * x)) * g)},
        {"vjp": lambda x, g: np.real(1j * np.exp(1j * x) * g)},
    ),
    "vjp C->C": (
        lambda z: z**3,
        Z,
        {"vjp": lambda z, g: np.conj(3 * z**2) * g},
        {"vjp": lambda z, g: 3 * z**2 * g},
    ),
    "vjp conjugated": (
        lambda z: np.conj(z) * z * z,
        Z,
        {"vjp": lambda z, g: 2 * np.abs(z) ** 2 * g + z**2 * np.conj(g)},
        {"vjp": lambda z, g: 2 * np.abs(z) ** 2 * g + np.conj(z) ** 2 * np.conj(g)},
    ),
    "jvp C->R": (
        lambda z: np.abs(z) ** 2,
        Z,
        {"jvp": lambda z, t: 2 * np.real(np.conj(z) * t)},
        {"jvp": lambda z, t: 2 * np.real(z * t)},
    ),
    "jvp R->C": (
        lambda x: np.exp(1j * x),
        X,
        {"jvp": lambda x, t: 1j * np.exp(1j * x) * t},
        {"jvp": lambda x, t: -1j * np.exp(-1j * x) * t},
    ),
    "jvp C->C": (
        lambda z: z**3,
        Z,
        {"jvp": lambda z, t: 3 * z**2 * t},
        {"jvp": lambda z, t: 3 * np.conj(z) ** 2 * t},
    ),
    "jvp conjugated": (
        lambda z: np.conj(z) * z * z,
        Z,
        {"jvp": lambda z, t: 2 * np.abs(z) ** 2 * t + z**2 * np.conj(t)},
        {"jvp": lambda z, t: 2 * np.abs(z) ** 2 * t + z**2 * t},
    ),
}


@pytest.mark.parametrize("case", WRITTEN)
def test_hand_written_derivatives_of_complex_functions(case: str) -> None:
    f, x, right, wrong = WRITTEN[case]
    report = xcheck.check(f, x, **right, raises=False)
    assert report.ok, str(report)
    report = xcheck.check(f, x, **wrong, raises=False)
    assert report.verdict is Verdict.DISAGREE, str(report)


def test_a_complex_jacobian_of_a_function_that_is_not_holomorphic_is_wrong() -> None:
    report = xcheck.check(lambda z: np.conj(z), Z, jacobian=diagonal(lambda z: np.ones(3)), raises=False)
    assert report.verdict is Verdict.DISAGREE
    assert any("not holomorphic" in note for note in report.notes)


# What the report says


def test_the_report_states_the_framework_s_own_convention(framework: Any) -> None:
    name, _, operations = framework
    gradients = {
        "torch": "torch's gradient is dL/dRe + i dL/dIm",
        "jax": "JAX's gradient is dL/dRe - i dL/dIm",
        "tensorflow": "TensorFlow's gradient is dL/dRe + i dL/dIm",
    }
    for kind in KINDS:
        f, x = KINDS[kind]
        report = xcheck.check(lambda x, f=f: f(operations, x), x, backend=name)
        (note,) = [note for note in report.notes if note.startswith("complex: ")]
        assert gradients[name] in note
    assert not any("complex" in note for note in xcheck.check(lambda x: x * x, X, backend=name).notes)


def test_the_conventions_are_what_the_frameworks_do(framework: Any) -> None:
    name, module, _ = framework

    def loss(z: Any, operations: Any) -> Any:
        return operations.re(z) ** 2 + 3 * operations.im(z)

    if name == "torch":
        z = module.tensor(1 + 2j, requires_grad=True)
        loss(z, framework[2]).backward()
        found = complex(z.grad)
    elif name == "jax":
        found = complex(module.grad(lambda z: loss(z, framework[2]))(1 + 2j))
    else:
        z = module.constant(1 + 2j)
        with module.GradientTape() as tape:
            tape.watch(z)
            value = loss(z, framework[2])
        found = complex(tape.gradient(value, z).numpy())
    assert found == (2 - 3j if name == "jax" else 2 + 3j)


def test_hand_written_derivatives_come_with_the_convention_they_are_read_by() -> None:
    report = xcheck.check(lambda z: np.sum(np.abs(z) ** 2), Z, gradient=lambda z: 2 * z)
    assert any("a hand-written gradient is read as dL/dRe + i dL/dIm" in note for note in report.notes)


@pytest.mark.parametrize(
    ("f", "holomorphic"),
    [
        (lambda z: z**2 * np.exp(z), True),
        (lambda z: np.array([[1, 2j, 0], [0, 1 - 1j, 3]]) @ z, True),
        (lambda z: 1e-8 / z, True),
        (lambda z: np.conj(z), False),
        (lambda z: z * np.abs(z), False),
        (lambda z: z + 1e-4 * np.conj(z), False),
    ],
)
def test_whether_a_function_is_holomorphic_is_measured(f: Any, holomorphic: bool) -> None:
    report = xcheck.check(f, Z, jvp=lambda z, t: 0 * f(z), raises=False)  # whatever the claim is
    text = "out is holomorphic in z at the point" if holomorphic else "out is not holomorphic in z at the point"
    assert any(note.startswith(text) for note in report.notes), report.notes


def test_holomorphy_is_not_claimed_where_the_values_do_not_tell() -> None:
    report = xcheck.check(lambda z: np.sqrt(z * z), np.array([0j]), jvp=lambda z, t: t, raises=False)
    assert "whether out is holomorphic in z at the point, the values do not tell" in report.notes


def test_a_holomorphic_function_has_holomorphic_inputs_by_name() -> None:
    def f(z: Any, w: Any) -> Any:
        return z * np.conj(w)

    report = xcheck.check(f, Z, Z + 1, jvp=lambda z, w, dz, dw: dz * np.conj(w) + z * np.conj(dw))
    assert any(note.startswith("out is holomorphic in z ") for note in report.notes)
    assert any(note.startswith("out is not holomorphic in w ") for note in report.notes)
