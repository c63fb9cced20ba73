"""Why the frameworks differ where they do, in words; by function and kind of point."""

from __future__ import annotations

VERTICAL = "The tangent is vertical: all give the infinite slope from inside the domain; a derivative does not exist."
STEP = "A step: the slope is 0 on both sides and none exists at the step; all give 0."
NORM = "A norm at zero divides zero by zero; torch masks that and gives the subgradient 0, the others do not."
SHARE = "A tie: all three share the slope equally between the equal numbers."
FIRST = "A tie: all three give the slope to the first of the equal numbers in a window."
SHARED_TIE = "A tie: torch and JAX share the slope between the arguments, TensorFlow gives it to the first."
ABS = "At zero torch and TensorFlow take the middle of the slopes, sign(0) = 0; JAX takes the right one, 1."
EDGE = "At the edge of a clip torch and TensorFlow count the edge as inside, JAX takes the mean of the two slopes."
REPEATED = (
    "Repeated {0} values: each single one has a kink there, their sum has none. All give the slopes for the vectors "
    "that the decomposition happened to return."
)
BELOW = "{0}: right by all three, and far below the rounding of the output's value, which cannot confirm it."
NEAR = "1e-12 from the edge: {0} is right by mpmath; steps that stay in the domain resolve it to a few digits only."

WHY: dict[tuple[str, str], str] = {
    ("expm1", "tail 0"): "torch and JAX compute the slope as expm1(x) + 1, which is 0 from -37.4 on; TensorFlow uses "
    "exp(x), 4.24835e-18, and is right. With a witness, torch and JAX are wrong.",
    ("log", "kink"): VERTICAL,
    ("sqrt", "kink"): VERTICAL,
    ("asin", "kink"): VERTICAL,
    ("acos", "kink"): VERTICAL,
    ("cbrt", "kink"): "sign(x) |x|^(1/3), as written here for torch and TensorFlow, is 0 times infinity at zero; JAX "
    "has a rule for cbrt and gives the infinite slope.",
    ("asin", "tail"): NEAR.format("707115"),
    ("acos", "tail"): NEAR.format("-707115"),
    ("atanh", "tail 0"): "1e-12 from the pole: 5.00011e+11 is right by mpmath; no step is small next to that distance "
    "and large next to the rounding of x.",
    ("tanh", "tail 1"): "1 - y^2 has one digit left at 18, where the true slope is 9.28e-16; JAX's y is off by three "
    "units of its last place, the others' by none.",
    ("tanh", "tail 2"): "y is rounded to 1 and all compute 1 - y^2 = 0; the true slope is 7.7e-22.",
    ("sigmoid", "tail 1"): "All compute y (1 - y), and 1 - y has three digits left at 30; the true slope is "
    "9.3576e-14, and none is farther from it than 0.11 %.",
    ("sigmoid", "tail 2"): "y is rounded to 1 and all compute y (1 - y) = 0; the true slope is 2.9e-20.",
    ("elu", "tail"): "JAX and TensorFlow compute exp(x) from the value, y + 1, which is 0; torch uses exp(x), "
    "2.86252e-20, and is right.",
    ("abs", "kink"): ABS,
    ("1-norm", "kink"): ABS,
    ("mean absolute error", "kink"): ABS,
    ("sign", "kink"): STEP,
    ("floor", "kink"): STEP,
    ("ceil", "kink"): STEP,
    ("round", "kink"): STEP,
    ("ndtr", "tail"): "torch computes (1 + erf) / 2, which is 0 from -8.4 on; the others use erfc and are right. "
    "Another function in the tail.",
    ("digamma", "ordinary"): "torch's rule, its trigamma, is off by 3e-10 of itself at 2.4, by mpmath; finite "
    "differences just see that.",
    ("trigamma", "ordinary"): "torch's trigamma is off by 3e-10 of itself at 2.4, by mpmath, and its derivative "
    "likewise.",
    ("i0e", "kink"): "exp(-|x|) has a kink at zero; all take the middle slope.",
    ("sinc", "kink"): "TensorFlow divides zero by zero: sinc has the derivative 0 there. It is wrong.",
    ("xlogy", "kink"): "x log x has a vertical tangent at zero; TensorFlow's rule gives 0, the others 0 times "
    "infinity.",
    ("relu", "kink"): "A kink; all take the left slope.",
    ("relu6", "kink"): "Kinks; all take the slope 0 of the flat side.",
    ("leaky_relu", "kink"): "torch and TensorFlow take the left slope, JAX the right one (it asks x >= 0). TensorFlow "
    "rounds 0.01 to float32.",
    ("selu", "kink"): "torch and JAX take the left slope, TensorFlow the right one.",
    ("hardtanh", "kink"): "torch counts the edge as flat, the others as inside.",
    ("hard_sigmoid", "ordinary"): "torch multiplies by 1/6 rounded to float32: its gradient is off by 3e-8. It is "
    "wrong.",
    ("hard_sigmoid", "kink"): "A kink; all take the slope of the flat side.",
    ("gelu", "ordinary"): "JAX's default is the tanh approximation: another function. TensorFlow takes sqrt(2) through "
    "float32, which costs it half of the digits.",
    ("clip to [0, 1]", "kink"): EDGE,
    ("pow", "kink 1"): "x^0 is 1 for every x: its slope 0 exists, torch gives it, and JAX and TensorFlow form 0 times "
    "infinity (with wrt=0 they are found wrong). 0^y falls from 1 to 0 at y = 0 and has no slope; all mask log(0).",
    ("atan2", "kink"): "The angle of the zero vector has no derivative; torch masks the division by zero.",
    ("hypot", "kink"): "The length of the zero vector is a norm at zero; JAX takes the larger of two equal numbers: "
    "1/2.",
    ("maximum", "kink"): SHARED_TIE,
    ("minimum", "kink"): SHARED_TIE,
    ("logaddexp", "kink"): "The function is smooth at a tie. TensorFlow writes it with maximum and abs, whose kinks do "
    "not cancel in their conventions: it gives 1 and 0 where 1/2 is right. It is wrong.",
    ("binary cross-entropy of logits", "kink"): "Smooth at zero. The formula max(x, 0) - x t + log1p(exp(-|x|)), as "
    "written here for JAX, has kinks that cancel, and JAX's conventions for them do not: -1 for -1/2. It is wrong.",
    ("binary cross-entropy with a weight of positives", "kink"): "Smooth at zero, with the slope 1/2 of one of three "
    "terms. TensorFlow writes it with relu and abs, whose conventions do not cancel: 1/3 for 1/6. It is wrong.",
    ("remainder", "kink"): "A step: all give the slopes of the piece to its right, 1 and -2.",
    ("where of a log", "kink"): "The branch that is not taken is differentiated as well: 0 times infinity in all "
    "three. The function itself jumps there, from 0 to minus infinity.",
    ("amax", "kink"): SHARE,
    ("amin", "kink"): SHARE,
    ("largest-number norm", "kink"): SHARE,
    ("maximum by segment", "kink"): SHARE,
    ("scatter by the maximum", "kink"): SHARE,
    ("sort", "kink"): "A tie: all three sort stably, and the equal numbers keep their slopes in order.",
    ("top two", "kink"): "A tie: all three take the first two of three equal numbers.",
    ("median of three", "kink"): "A tie: torch shares the slope between equal numbers, the others give it to one.",
    ("maximum pooling", "kink"): FIRST,
    ("maximum pooling in one dimension", "kink"): FIRST,
    ("overlapping maximum pooling", "kink"): FIRST,
    ("cumulative maximum", "kink"): "A tie: torch gives the slope to the last of the equal numbers, the others share "
    "it.",
    ("standard deviation", "kink"): NORM,
    ("Euclidean norm", "kink"): NORM,
    ("Frobenius norm", "kink"): NORM,
    (
        "Euclidean norm",
        "tail",
    ): "The true slope is 0.707107. The squares of 1e-170 underflow and the value is 0: JAX and "
    "TensorFlow divide by it, torch masks that and gives 0, which is the slope of such values.",
    (
        "normalise",
        "kink",
    ): "Next to zero the function is x / 1e-12, and the slope 1e12 of torch and TensorFlow is right; "
    "steps reach farther and see a jump. JAX differentiates the norm itself, 0/0, and gives NaN.",
    ("softmax", "tail"): BELOW.format("A slope of -4.24835e-18, exp(-40)"),
    ("cross-entropy", "tail"): BELOW.format("A slope of 2.12418e-18, exp(-40) / 2"),
    ("cumulative logsumexp", "tail"): "The first output is x[0] itself, with the slope 1; torch's forward rule gives "
    "1 - 1e-13. Slopes of 1e-26 are below what values tell.",
    ("cumprod", "kink"): "TensorFlow divides the product by the number that is zero and drops it. It is wrong.",
    ("product by segment", "ordinary"): "JAX has no derivative of a product by segment, whose indices may repeat; the "
    "others agree.",
    ("product by segment", "kink"): "JAX has no derivative of a product by segment, whose indices may repeat; the "
    "others agree, at a zero too.",
    ("determinant", "kink 0"): "TensorFlow's rule needs the inverse, which a singular matrix does not have: it raises.",
    ("determinant", "kink 1"): "The derivative is the adjugate, which is not zero for a matrix of rank n - 1. torch "
    "gives 0 and is wrong; TensorFlow's rule needs the inverse and raises.",
    ("symmetric eigenvalues", "kink"): REPEATED.format("eigen"),
    ("singular values", "kink"): REPEATED.format("singular"),
    ("nuclear norm", "kink"): "A singular value of zero has a kink, as a norm: its vectors' signs are free. torch and "
    "TensorFlow give the identity, JAX ((0, 1), (1, 0)); both are orthogonal matrices and valid subgradients.",
    ("complex abs", "kink"): "A norm at zero; all give the subgradient 0.",
    ("angle", "kink"): "The angle of zero has no derivative; torch masks the division by |z|^2, the others do not.",
    ("bicubic resizing", "ordinary"): "torch's cubic has the parameter -0.75, the others' -0.5: another function. With "
    "antialiasing torch's is -0.5 as well, and all agree.",
    ("log-cosh loss", "kink"): "Keras takes log 2 through float32: the value is off by 1.9e-9, and it is 0 here.",
}


def key_of(name: str, point: str) -> tuple[str, str] | None:
    """Return where the explanation of a comparison stands; None if nobody has found out."""
    kind = point.partition(" ")[0]
    return next((key for key in ((name, point), (name, kind)) if key in WHY), None)


def explain(name: str, point: str) -> str:
    """Return why a comparison did not simply agree; an empty string if nobody has found out."""
    key = key_of(name, point)
    return "" if key is None else WHY[key]
