from operator import attrgetter

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from cases.case import Case, Truth  # noqa: E402
from cases.planted import KINDS, SIZES, plant  # noqa: E402
from cases.planted_torch import Tools  # noqa: E402
from cases.torch_operators import operators, public_names, table, tricky  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # torch calls some of its own functions deprecated


def test_at_least_300_functions_of_torch_each_under_its_public_name():
    names = public_names()
    assert len(names) >= 300
    for name in names:
        assert callable(attrgetter(name.removeprefix("torch."))(torch)), name
    rows = [name for name, _, _ in table()]
    assert len(set(rows)) == len(rows)


def test_the_same_seed_gives_the_same_points_and_another_seed_others():
    first, again, other = (next(iter(operators(seed, 1))) for seed in (3, 3, 4))
    assert all(torch.equal(a, b) for a, b in zip(first.inputs, again.inputs, strict=True))
    assert not torch.equal(first.inputs[0], other.inputs[0])


def test_every_operator_is_finite_and_differentiable_at_its_points():
    for case in operators(0, 1):
        returned = case.f(*[x.clone().requires_grad_() for x in case.inputs])
        outputs = returned if isinstance(returned, (tuple, list)) else [returned]
        assert any(y.requires_grad for y in outputs), case.name
        assert all(bool(torch.isfinite(torch.abs(y.detach())).all()) for y in outputs), case.name


def test_tricky_names_are_unique():
    names = [case.name for case in tricky(0)]
    assert len(set(names)) == len(names)


def jacobian(f, x, mode):
    if mode == "vjp":
        return torch.autograd.functional.jacobian(f, x).numpy()
    columns = []
    for j in range(x.numel()):
        tangent = torch.zeros_like(x).flatten()
        tangent[j] = 1.0
        with torch.autograd.forward_ad.dual_level():
            dual = torch.autograd.forward_ad.make_dual(x, tangent.reshape(x.shape))
            columns.append(torch.autograd.forward_ad.unpack_dual(f(dual)).tangent.numpy())
    return np.stack(columns, axis=-1).reshape(*columns[0].shape, *x.shape)


def test_planted_errors_sit_where_they_say_and_nowhere_else():
    x = torch.linspace(0.3, 1.2, 6, dtype=torch.float64).reshape(2, 3)
    right = [Case("op", "torch", lambda x: torch.cumsum(x, 1).sin() * x.sum(), (x,), Truth.RIGHT)]
    modes = set()
    for case in plant(right, Tools(), np.random.default_rng(0), 2 * len(SIZES) * len(KINDS)):
        flaw = case.f.flaw
        modes.add(flaw.mode)
        assert torch.equal(case.f(x), right[0].f(x))
        true = jacobian(right[0].f, x, "vjp").reshape(6, 6)
        off = (jacobian(case.f, x, flaw.mode).reshape(6, 6) - true) / np.where(true == 0, 1.0, true)
        expected = np.zeros((6, 6))
        rows = slice(None) if flaw.kind in ("column", "input") else flaw.out
        columns = slice(None) if flaw.kind in ("row", "input") else flaw.at
        expected[rows, columns] = case.planted
        assert np.allclose(off, np.where(true == 0, 0.0, expected), rtol=1e-6, atol=1e-13)
        assert case.truth is Truth.WRONG
        assert flaw.error == pytest.approx(case.planted * abs(true[flaw.out, flaw.at]))
    assert modes == {"vjp", "jvp"}


def test_one_case_after_another_covers_every_size_and_kind():
    x = torch.linspace(0.3, 1.2, 4, dtype=torch.float64)
    right = [Case("op", "torch", torch.sin, (x,), Truth.RIGHT)]
    cases = list(plant(right, Tools(), np.random.default_rng(0), len(SIZES) * len(KINDS)))
    assert {(c.planted, c.f.flaw.kind) for c in cases} == {(size, kind) for size in SIZES for kind in KINDS}
