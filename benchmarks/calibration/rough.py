"""Rules for functions that are not smooth everywhere, or not computed smoothly, and for constants."""

from __future__ import annotations

from calibration.dice import Dice
from calibration.pair import Draft
from calibration.smooth import tree

BASES = ("sin(x)", "exp(x)", "x * x", "arctan(x)", "cos(3 * x)", "1 / (2 + x * x)")


def bent(d: Dice, k: float) -> str:
    """Draw a function with a kink at k."""
    base, size = d.pick(BASES), d.signed(0.1, 3)
    return d.pick(
        (
            f"{size} * abs(x - {k})",
            f"{size} * maximum(x - {k}, 0.0)",
            f"{base} + {size} * abs(x - {k})",
            f"where(x > {k}, {base} + {size} * (x - {k}), {base})",
            f"maximum({base}, {base} + {size} * (x - {k}))",
            f"abs(sin(x - {k}))",
            f"{base} * abs(x - {k})",
        )
    )


def kink_beside(d: Dice) -> Draft:
    """A kink at a distance of 1e-9 to 1 from the point."""
    k = d.signed(0.3, 2)
    return Draft(bent(d, k), d.hold(k * (1 + d.signed(1, 9) * d.power(-10 if d.wide else -5, -1))))


def scaled_kink_beside(d: Dice) -> Draft:
    """A kink beside the point in other units."""
    a, k = d.power(-12, 12), d.power(-12, 12)
    x = d.hold(k * (1 + d.signed(1, 9) * d.power(-8 if d.wide else -4, -1)))
    return Draft(d.pick((f"{a} * abs(x - {k})", f"{a} * maximum(x - {k}, 0.0)", f"{a} * maximum(x, {k})")), x)


def kink_at_zero_beside(d: Dice) -> Draft:
    """A unit of a network close to its kink at zero."""
    text = d.pick(("maximum(x, 0.0)", "abs(x)", "maximum(x, 0.01 * x)", "where(x > 0, x, expm1(x))", "sin(x) + abs(x)"))
    return Draft(text, d.signed(1, 9) * d.power(-12, 0))


def jump_beside(d: Dice) -> Draft:
    """A jump at a distance of 1e-8 to 1 from the point."""
    k = d.signed(0.3, 2)
    text = f"{d.pick(BASES)} + where(x > {k}, {d.signed(0.01, 3)}, 0.0)"
    return Draft(text, d.hold(k * (1 + d.signed(1, 9) * d.power(-9 if d.wide else -4, -1))))


def stairs_and_slope(d: Dice) -> Draft:
    """A slope between the steps of a staircase."""
    return Draft(f"{d.pick(BASES)} + {d.number(0.2, 2)} * floor({d.number(2, 40)} * x)", d.signed(0.3, 2))


def kink(d: Dice) -> Draft:
    """A kink at the point."""
    k = d.signed(0.3, 2)
    return Draft(bent(d, k), k)


def scaled_kink(d: Dice) -> Draft:
    """A kink at the point in other units."""
    a, k = d.power(-12, 12), d.power(-12, 12)
    return Draft(
        d.pick((f"{a} * abs(x - {k})", f"{a} * maximum(x, {k})", f"{a} * where(x > {k}, 3 * x - 2 * {k}, x)")), k
    )


def kink_at_zero(d: Dice) -> Draft:
    """A kink at zero."""
    text = d.pick(
        ("maximum({a} * x, 0.0)", "{a} * abs(x)", "maximum(x, {a} * x)", "exp({a} * x) + abs(x)", "abs(sin({a} * x))")
    )
    return Draft(text.format(a=d.number(0.1, 0.9)), 0.0)


def slight_kink(d: Dice) -> Draft:
    """A small kink on a smooth function."""
    k = d.signed(0.3, 2)
    return Draft(f"{d.pick(BASES)} + {d.power(-4 if d.wide else -1.5, -1)} * abs(x - {k})", k)


def jump(d: Dice) -> Draft:
    """A jump at the point, and slopes on its sides."""
    k = d.signed(0.3, 2)
    return Draft(f"{d.pick(BASES)} + where(x > {k}, {d.signed(0.001, 3)}, 0.0)", k)


def whole_step(d: Dice) -> Draft:
    """A step of a staircase at the point."""
    return Draft(d.pick(("floor(x)", "floor(x) + 0.25 * x", "floor(x) * x")), float(d.whole(1, 40)))


def scaled_jump(d: Dice) -> Draft:
    """A jump in other units."""
    a, k = d.power(-12, 12), d.power(-12, 12)
    return Draft(f"where(x > {k}, {a}, {d.hold(a * d.number(1.1, 3))}) * x / {k}", k)


def edge_at_zero(d: Dice) -> Draft:
    """The edge of the domain at zero."""
    text = d.pick(("{a} * sqrt(x)", "{a} * x ** 1.5", "sin({a} * x) + sqrt(x)", "{a} * x * sqrt(x) + x", "x ** {a}"))
    return Draft(text.format(a=d.number(0.1, 0.9)), 0.0, edge=True)


def edge_elsewhere(d: Dice) -> Draft:
    """The edge of the domain at another point."""
    k = d.number(0.3, 2)
    text = d.pick(
        (
            "sqrt(x - {k})",
            "(x - {k}) ** 1.5 + x",
            "sqrt({k} - x)",
            "arcsin(x / {k})",
            "log(x - {k})",
            "where(x < {k}, log(x - {k}), x)",
        )
    )
    return Draft(text.format(k=k), k, edge=True)


def constant(d: Dice) -> Draft:
    """A constant of any size, at any point."""
    x = d.pick((0.0, d.power(-12, 12), d.signed(0.3, 3)))
    return Draft(f"0 * x + {d.pick((0.0, d.power(-12, 12), d.signed(0.3, 3)))}", x)


def flat_piece(d: Dice) -> Draft:
    """Between the steps of a staircase, or on the dead side of a unit."""
    text = d.pick(
        ("floor({a} * x)", "maximum(x, 40.0)", "floor({a} * x + 0.5)", "maximum(-x * {a}, 0.0)", "where(x > 0, {a}, x)")
    )
    return Draft(text.format(a=d.number(0.2, 3)), d.number(0.3, 3))


def constant_with_rounding(d: Dice) -> Draft:
    """Constant in exact arithmetic, rounding apart."""
    text = d.pick(
        ("sin(x) ** 2 + cos(x) ** 2", "x / x * {a}", "exp(x) * exp(-x)", "(x + {a}) - x", "cosh(x) ** 2 - sinh(x) ** 2")
    )
    return Draft(text.format(a=d.number(0.2, 3)), d.number(0.3, 2))


def hash_noise(d: Dice) -> Draft:
    """Relative noise that depends on nothing but the bits of x."""
    level = d.power(-12, -6) if d.wide else d.power(-6, -3)
    base = d.pick((*BASES, tree(d, 2)))
    return Draft(f"noisy({base}, x, {level}, {d.whole(1, 10**6)})", d.signed(0.3, 2), noisy=True)


def rounded_inside(d: Dice) -> Draft:
    """The result rounded to a lower precision and back."""
    base = d.pick(BASES)
    low = d.pick(("float32", "float16", "bfloat16") if d.wide else ("float16", "bfloat16"))
    return Draft(f"rounded({base}, '{low}')", d.signed(0.3, 2), ideal=base, noisy=True)


def rounded_between(d: Dice) -> Draft:
    """An inner value rounded to a lower precision and back."""
    low = d.pick(("float32", "float32", "float16") if d.wide else ("float16",))
    text, base = d.pick(("exp({r})", "sin({r}) + x", "x * {r}")), d.pick(BASES)
    ideal = text.format(r=f"({base})")
    return Draft(text.format(r=f"rounded({base}, '{low}')"), d.signed(0.3, 2), ideal=ideal, hull=True, noisy=True)


def newton(d: Dice) -> Draft:
    """Newton's method that stops at a tolerance."""
    tolerance = d.power(-12, -3) if d.wide else d.power(-5, -2)
    e = d.number(0.1, 0.8)
    text = d.pick(
        (
            "iterate(lambda y: (y + x / y) / 2, 1 + 0 * x, {t})",
            f"iterate(lambda y: y - (y - {e} * sin(y) - x) / (1 - {e} * cos(y)), 1 * x, {{t}})",
            "iterate(lambda y: y - (y ** 3 + y - x) / (3 * y ** 2 + 1), 1 * x, {t})",
        )
    )
    return Draft(text.format(t=tolerance), d.number(0.3, 3), ideal=text.format(t=1e-50), hull=True, noisy=True)


def fixed_point(d: Dice) -> Draft:
    """A fixed-point iteration that converges linearly and stops at a tolerance."""
    tolerance = d.power(-12, -4) if d.wide else d.power(-5, -3)
    text = d.pick(
        ("iterate(lambda y: {e} * sin(y) + x, 1 * x, {t})", "iterate(lambda y: x / (1 + {e} * y), 1 * x, {t})")
    )
    e = d.number(0.1, 0.6)
    exact = text.format(e=e, t=1e-50)
    return Draft(text.format(e=e, t=tolerance), d.number(0.3, 1.5), ideal=exact, hull=True, noisy=True)


def bisection(d: Dice) -> Draft:
    """Bisection, whose results lie on a grid."""
    tolerance = d.power(-12, -5) if d.wide else d.power(-5, -3)
    text = f"bisect(lambda y: y ** 3 + y - x, 0.0, 3.0, x, {tolerance})"
    ideal = "iterate(lambda y: y - (y ** 3 + y - x) / (3 * y ** 2 + 1), 1 * x, 1e-50)"
    return Draft(text, d.number(0.3, 3), ideal=ideal, noisy=True)


RULES = {
    "noisy": (hash_noise, newton, hash_noise, fixed_point),
    "rounded": (rounded_inside, rounded_between, bisection),
    "kink beside": (kink_beside, scaled_kink_beside, kink_at_zero_beside),
    "jump beside": (jump_beside, stairs_and_slope),
    "kink at": (kink, scaled_kink, kink_at_zero, slight_kink),
    "jump at": (jump, whole_step, scaled_jump),
    "edge": (edge_at_zero, edge_elsewhere),
    "constant": (constant, flat_piece, constant_with_rounding),
}
