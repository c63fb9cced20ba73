"""Why the frameworks differ where they do, in words; by function and kind of point."""

from __future__ import annotations

VERTICAL = "The tangent is vertical: all give the infinite slope from inside the domain; a derivative does not exist."
STEP = "A step: the slope is 0 on both sides and none exists at the step; all give 0."
NORM = "A norm at zero divides zero by zero; torch masks that and gives the subgradient 0, the others do not."
FLAT = "The value is rounded to a constant; what each rule gives depends on how it is written, and values cannot tell."
LAST_DIGITS = (
    "The last digits of a value next to 1 are all that is left; the rules are right to what 1 - y keeps of them."
)
TIE = "A tie: any number between the one-sided slopes is a valid generalised derivative."
SHARED_TIE = "A tie: torch and JAX share the slope between the arguments, TensorFlow gives it to the first."
ABS = "At zero torch and TensorFlow take the middle of the slopes, sign(0) = 0; JAX takes the right one, 1."
EDGE = "At the edge of a clip torch and TensorFlow count the edge as inside, JAX takes the mean of the two slopes."
REPEATED = "Repeated eigenvalues: each single one has a kink there, their sum has none."
BELOW = (
    "Entries far below the rounding of the output's value: all agree with each other, and values cannot confirm them."
)

WHY: dict[tuple[str, str], str] = {
    (
        "expm1",
        "tail",
    ): "exp(x) is computed as expm1(x) + 1 by torch and JAX, which is 0 from -37.4 on; TensorFlow uses exp. "
    "With a witness, torch and JAX are wrong.",
    ("log", "kink"): VERTICAL,
    ("sqrt", "kink"): VERTICAL,
    ("asin", "kink"): VERTICAL,
    ("acos", "kink"): VERTICAL,
    (
        "cbrt",
        "kink",
    ): "sign(x) |x|^(1/3) is 0 times infinity at zero; JAX has a rule for cbrt and gives the infinite slope.",
    ("asin", "tail"): "1e-12 from the edge: steps that stay in the domain resolve the slope to a few digits only.",
    ("acos", "tail"): "1e-12 from the edge: steps that stay in the domain resolve the slope to a few digits only.",
    ("atanh", "tail"): "1e-12 from the pole: no step is small next to that and large next to rounding.",
    (
        "tanh",
        "tail 1",
    ): "1 - y^2 has one digit left at 18, and JAX's y is off by three units of its last place.",
    ("tanh", "tail"): FLAT,
    ("sigmoid", "tail"): LAST_DIGITS,
    ("elu", "tail"): "JAX and TensorFlow compute exp(x) from the value, y + 1, which is 0; torch uses exp.",
    ("abs", "kink"): ABS,
    ("1-norm", "kink"): ABS,
    ("mean absolute error", "kink"): ABS,
    ("sign", "kink"): STEP,
    ("floor", "kink"): STEP,
    ("ceil", "kink"): STEP,
    ("round", "kink"): STEP,
    (
        "ndtr",
        "tail",
    ): "torch computes (1 + erf) / 2, which is 0 from -8.3 on; the others use erfc. Another function in the tail.",
    (
        "digamma",
        "ordinary",
    ): "torch's rule, its trigamma, is off by 3e-10 of itself at 2.4; finite differences just see that.",
    ("trigamma", "ordinary"): "torch's trigamma is off by 3e-10 of itself around 2.4, and its derivative likewise.",
    ("i0e", "kink"): "exp(-|x|) has a kink at zero; all take the middle slope.",
    ("sinc", "kink"): "TensorFlow divides zero by zero: sinc has the derivative 0 there. It is wrong.",
    (
        "xlogy",
        "kink",
    ): "x log x has a vertical tangent at zero; TensorFlow's rule gives 0, the others 0 times infinity.",
    ("relu", "kink"): "A kink; all take the left slope.",
    ("relu6", "kink"): "Kinks; all take the slope 0 of the flat side.",
    ("leaky_relu", "kink"): "torch and TensorFlow take the left slope, JAX the right one (it asks x >= 0).",
    ("selu", "kink"): "torch and JAX take the left slope, TensorFlow the right one.",
    ("hardtanh", "kink"): "torch counts the edge as flat, the others as inside.",
    (
        "hard_sigmoid",
        "ordinary",
    ): "torch multiplies by 1/6 rounded to float32: its gradient is off by 3e-8. It is wrong.",
    ("hard_sigmoid", "kink"): "A kink; all take the slope of the flat side.",
    (
        "gelu",
        "ordinary",
    ): "JAX's default is the tanh approximation: another function. TensorFlow computes sqrt(1/2) in float32, "
    "which costs it half of the digits.",
    ("clip to [0, 1]", "kink"): EDGE,
    ("pow", "kink"): "0^0: JAX and TensorFlow form 0 times infinity, torch masks it; log(0) is masked by all.",
    ("atan2", "kink"): "The angle of the zero vector has no derivative; torch masks the division by zero.",
    (
        "hypot",
        "kink",
    ): "The length of the zero vector is a norm at zero; JAX takes the larger of two equal numbers: 1/2.",
    ("maximum", "kink"): SHARED_TIE,
    ("minimum", "kink"): SHARED_TIE,
    (
        "logaddexp",
        "kink",
    ): "The function is smooth at a tie. TensorFlow writes it with maximum and abs, whose kinks do not "
    "cancel in their conventions: it gives 1 and 0 where 1/2 is right. It is wrong.",
    (
        "binary cross-entropy of logits",
        "kink",
    ): "Smooth at zero. The formula max(x, 0) - x t + log1p(exp(-|x|)), as written "
    "here for JAX, has kinks that cancel, and JAX's conventions for them do not: -1 for -1/2. It is wrong.",
    ("remainder", "ordinary"): "Steps of floor are close by: one of the points lies next to one.",
    ("remainder", "kink"): "A step: all give the slope of the pieces.",
    (
        "where of a log",
        "kink",
    ): "The branch that is not taken is differentiated as well: 0 times infinity in all three.",
    ("amax", "kink"): TIE,
    ("amin", "kink"): TIE,
    ("largest-number norm", "kink"): TIE,
    ("sort", "kink"): TIE,
    ("top two", "kink"): TIE,
    ("median of three", "kink"): "A tie: torch shares the slope between equal numbers, the others give it to one.",
    ("maximum by segment", "kink"): TIE,
    ("maximum pooling", "kink"): "A tie: all give the slope to the first of the equal numbers.",
    ("standard deviation", "kink"): NORM,
    ("Euclidean norm", "kink"): NORM,
    ("Frobenius norm", "kink"): NORM,
    (
        "normalise",
        "kink",
    ): "Zero divided by the smallest length allowed: JAX differentiates the norm itself, 0/0, and gives NaN.",
    (
        "Euclidean norm",
        "tail",
    ): "The squares of 1e-170 underflow: the value is 0, as far as it goes flat, and JAX and TensorFlow divide by it.",
    ("softmax", "tail"): BELOW,
    ("cross-entropy", "tail"): BELOW,
    (
        "cumulative logsumexp",
        "tail",
    ): "torch's rules lose 1e-13 of a slope of 1; entries of 1e-26 are below what values tell.",
    ("cumprod", "kink"): "TensorFlow divides the product by the number that is zero and drops it. It is wrong.",
    ("determinant", "kink 0"): "TensorFlow's rule needs the inverse, which a singular matrix does not have: it raises.",
    (
        "determinant",
        "kink 1",
    ): "The derivative is the adjugate, which is not zero for a matrix of rank n - 1. torch gives 0 and is "
    "wrong; TensorFlow's rule needs the inverse and raises.",
    ("symmetric eigenvalues", "kink"): REPEATED,
    ("singular values", "kink"): REPEATED,
    ("nuclear norm", "kink"): "A singular value of zero: as a norm's, any subgradient is valid.",
    ("complex abs", "kink"): "A norm at zero; all give the subgradient 0.",
}


def explain(name: str, point: str) -> str:
    """Return why a comparison did not simply agree; an empty string if nobody has found out."""
    kind = point.partition(" ")[0]
    return WHY.get((name, point)) or WHY.get((name, kind)) or ""
