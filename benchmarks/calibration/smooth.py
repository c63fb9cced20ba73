"""Rules for functions with a derivative at the point: easy ones, and ones that are hard on differences."""

from __future__ import annotations

from calibration.dice import Dice
from calibration.pair import Draft

EASY = ("sin(x)", "cos(x)", "exp(x)", "tanh(x)", "arctan(x)", "erf(x)", "sinh(x)", "log1p(x * x)", "sqrt(1 + x * x)")
UNARY = ("sin(%s)", "cos(%s)", "exp(%s / 4)", "tanh(%s)", "arctan(%s)", "sqrt(1 + (%s) ** 2)", "1 / (2 + (%s) ** 2)")


def tree(d: Dice, depth: int) -> str:
    """Draw an expression of at most `depth` levels."""
    if depth == 0 or d.rng.random() < 0.1:
        return f"{d.number(0.3, 3)} * x"
    if d.rng.random() < 0.4:
        return f"({tree(d, depth - 1)} {d.pick(('+', '*'))} {tree(d, depth - 1)})"
    return d.pick(UNARY) % tree(d, depth - 1)


def elementary(d: Dice) -> Draft:
    """An elementary function at a point of size one."""
    return Draft(d.pick(EASY), d.signed(0.1, 2))


def composed(d: Dice) -> Draft:
    """A random expression at points of several sizes."""
    return Draft(tree(d, d.whole(2, 4)), d.signed(0.1, 2) * d.pick((1.0, 1.0, 0.125, 16.0)))


def polynomial(d: Dice) -> Draft:
    """A polynomial of degree up to seven."""
    terms = [f"{d.signed(0.1, 2)} * x ** {k}" for k in range(1, d.whole(2, 7))]
    return Draft(" + ".join(terms), d.signed(0.1, 2))


def scaled(d: Dice) -> Draft:
    """A function of size one with input and output in other units."""
    a, b = d.power(-12, 12), d.power(-12, 12)
    text = d.pick(("sin", "tanh", "exp", "arctan", "erf", "cosh"))
    return Draft(f"{a} * {text}(x / {b})", d.hold(d.signed(0.2, 2) * b))


def power_law(d: Dice) -> Draft:
    """A power of x over many decades of x."""
    reach = 12 if d.wide else 6
    return Draft(f"{d.power(-6, 6)} * x ** {d.pick((-2.0, -0.5, 0.5, 1.5, 2.0, 3.0))}", d.power(-reach, reach))


def offset_point(d: Dice) -> Draft:
    """Structure of size one or more at a point far from zero."""
    reach = d.power(0, 8 if d.wide else 3)
    centre = d.hold(reach)
    return Draft(f"tanh((x - {centre}) / {d.number(0.5, 3)})", d.hold(centre + d.signed(0.1, 1)))


def fast_sine(d: Dice) -> Draft:
    """sin(w x + p) for w up to several thousand."""
    return Draft(f"sin({d.power(1, 3.7)} * x + {d.number(0, 6)})", d.signed(0.5, 2))


def sine_far_out(d: Dice) -> Draft:
    """Sine at points of up to 1e10, where the scale of x says nothing."""
    return Draft(d.pick(("sin(x)", "cos(x)", "sin(x) ** 3")), d.signed(1, 9.9) * d.power(1, 9 if d.wide else 2.5))


def chirp(d: Dice) -> Draft:
    """An oscillation whose frequency grows."""
    return Draft(f"sin({d.number(0.5, 3)} * x * x)", d.signed(5, 100 if d.wide else 30))


def ripple(d: Dice) -> Draft:
    """A small fast wave on a slow one."""
    return Draft(f"sin(x) + {d.power(-3, -0.5)} * sin({d.power(1.5, 3)} * x)", d.signed(0.3, 2))


def steep_exponential(d: Dice) -> Draft:
    """Exponentials of tens to hundreds."""
    rate = d.signed(20, 600 if d.wide else 60)
    return Draft(f"exp({rate} * x)", d.number(0.3, 1.1))


def steep_step(d: Dice) -> Draft:
    """A smooth step much narrower than x."""
    width, centre = d.power(-6 if d.wide else -2, -1), d.number(0.5, 2)
    text = d.pick(("tanh", "erf", "arctan", "sigmoid"))
    return Draft(f"{text}((x - {centre}) / {width})", d.hold(centre + d.signed(0, 2) * width))


def narrow_bump(d: Dice) -> Draft:
    """A bump much narrower than x, at its flank."""
    width, centre = d.power(-6 if d.wide else -2, -1), d.number(0.5, 2)
    text = d.pick(
        ("exp(-((x - {c}) / {w}) ** 2)", "1 / (1 + ((x - {c}) / {w}) ** 2)", "x + exp(-((x - {c}) / {w}) ** 2)")
    )
    return Draft(text.format(c=centre, w=width), d.hold(centre + d.signed(0.3, 2) * width))


def high_power(d: Dice) -> Draft:
    """X to the power of tens."""
    return Draft(f"x ** {d.whole(10, 60)}", d.signed(0.5, 1.5))


def pole(d: Dice) -> Draft:
    """Close to a pole or a branch point."""
    centre = d.number(0.5, 2)
    near = d.power(-7 if d.wide else -3, -1)
    text = d.pick(("1 / (x - {c})", "log(x - {c})", "sqrt(x - {c})", "(x - {c}) ** -2", "(x - {c}) ** 1.5"))
    return Draft(text.format(c=centre), d.hold(centre + near))


def tiny_argument(d: Dice) -> Draft:
    """A singularity at zero, seen from a tiny x."""
    text = d.pick(("log(x)", "sqrt(x)", "1 / x", "x * log(x)", "x ** 0.1", "x ** 1.5", "exp(-1 / x)"))
    return Draft(text, d.power(-10, -1) if text != "exp(-1 / x)" else d.power(-2, 0))


def bounded_domain(d: Dice) -> Draft:
    """Close to the edge of a bounded domain."""
    text = d.pick(("arcsin(x)", "sqrt(1 - x * x)", "log(1 - x)", "log1p(-x)", "tan(1.5707963 * x)"))
    return Draft(text, d.hold(1 - d.power(-5 if d.wide else -2, -1)))


def removable(d: Dice) -> Draft:
    """A removable singularity: values of size one out of small differences."""
    text = d.pick(("(1 - cos(x)) / x ** 2", "(exp(x) - 1) / x", "sin(x) / x", "(x - sin(x)) / x ** 3", "log1p(x) / x"))
    return Draft(text, d.signed(1, 9) * d.power(-4 if d.wide else -2, -0.5))


def small_difference(d: Dice) -> Draft:
    """A small difference of large or equal values."""
    text = d.pick(("sqrt(1 + x) - 1", "exp(x) - 1 - x", "log1p(x) - x", "1 - cos(x)", "x - sin(x)", "1 / (1 + x) - 1"))
    return Draft(text, d.signed(1, 9) * d.power(-5 if d.wide else -2, -1))


def large_offset(d: Dice) -> Draft:
    """A function of size one on top of a large constant."""
    return Draft(f"{d.power(2, 9 if d.wide else 3)} + {d.pick(('sin', 'tanh', 'exp'))}(x)", d.signed(0.2, 2))


def expanded(d: Dice) -> Draft:
    """(x - 1)^4 multiplied out, beside its root."""
    return Draft("x ** 4 - 4 * x ** 3 + 6 * x ** 2 - 4 * x + 1", d.hold(1 + d.signed(0.02, 0.5)))


def tail(d: Dice) -> Draft:
    """Far out, where the function no longer changes much."""
    far = d.number(3, 60 if d.wide else 12)
    text = d.pick(("tanh(x)", "erf(x)", "sigmoid(x)", "expm1(-x)", "1 / (1 + exp(-x))", "x * sigmoid(x)"))
    return Draft(text, far)


def vanishing_tail(d: Dice) -> Draft:
    """Far out, where the function goes to zero and its values keep their digits."""
    far = d.number(3, 24 if d.wide else 8)
    text = d.pick(("erfc(x)", "exp(-x * x)", "sigmoid(-x)", "log1p(exp(-x))", "1 / cosh(x)", "x * exp(-x)"))
    return Draft(text, far)


def plateau(d: Dice) -> Draft:
    """A bounded function of a large argument."""
    return Draft(f"{d.pick(('tanh', 'arctan', 'erf', 'sigmoid'))}({d.power(0.5, 3)} * x)", d.number(0.3, 2))


def line(d: Dice) -> Draft:
    """A line."""
    return Draft(f"{d.signed(0.1, 3)} * x + {d.signed(0.1, 3)}", d.signed(0.1, 3))


def scaled_line(d: Dice) -> Draft:
    """A line with slope, offset and point of any size."""
    slope, x = d.power(-12, 12), d.power(-12, 12)
    return Draft(f"{slope} * x + {d.hold(slope * x * d.power(-3, 5 if d.wide else 2))}", x)


def line_by_detour(d: Dice) -> Draft:
    """A line with rounding inside."""
    a = d.number(0.5, 3)
    return Draft(d.pick((f"(x + {a}) - x / 3", f"log(exp(x)) + {a}", f"(x * {a}) / 3", f"{a} - x")), d.number(0.3, 3))


RULES = {
    "smooth": (elementary, composed, polynomial, composed),
    "scaled": (scaled, power_law, offset_point),
    "oscillatory": (fast_sine, sine_far_out, chirp, ripple),
    "steep": (steep_exponential, steep_step, narrow_bump, high_power),
    "near-singular": (pole, tiny_argument, bounded_domain),
    "cancellation": (removable, small_difference, large_offset, expanded),
    "saturated": (tail, vanishing_tail, plateau),
    "linear": (line, scaled_line, line_by_detour),
}
