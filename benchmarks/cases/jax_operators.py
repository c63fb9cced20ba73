"""JAX's public differentiable functions at ordinary points: every derivative is right.

A table of names and domains for what takes arrays alone, and one of closures for the rest. Inputs are NumPy arrays of
64 bits, which `backend="jax"` turns into JAX's own inside its 64-bit scope.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, nn
from jax.scipy import linalg, special, stats

from cases.case import Case, Truth
from cases.domains import (
    Domain,
    above_one,
    distinct,
    dominant,
    draw,
    fraction,
    nonzero,
    positive,
    probability,
    real,
    spd,
    square,
    triangular,
    unit,
    within,
)

Operator = tuple[Callable[..., Any], tuple[Domain, ...]]

N = 24
"""Entries of an input of an elementwise function."""

BY_NAME: list[tuple[tuple[Domain, ...], str, str]] = [
    (
        (real(N),),
        "numpy",
        (
            "sin cos sinh cosh tanh arctan arcsinh exp exp2 expm1 square sinc i0 negative positive deg2rad rad2deg "
            "radians "
            "degrees conj real nan_to_num sum prod mean std var cumsum cumprod nansum nanmean nanstd nanvar nanprod "
            "nancumsum nancumprod ptp median trapezoid diff ediff1d gradient average ravel flip atleast_2d "
            "diagflat cumulative_sum cumulative_prod"
        ),
    ),
    ((nonzero(N),), "numpy", "abs absolute fabs cbrt reciprocal sign"),
    ((positive(N),), "numpy", "log log2 log10 log1p sqrt"),
    ((above_one(N),), "numpy", "arccosh"),
    ((unit(N),), "numpy", "arcsin arccos arctanh tan"),
    ((fraction(N),), "numpy", "floor ceil trunc rint round modf"),
    ((distinct(N),), "numpy", "max min amax amin nanmax nanmin sort"),
    (
        (real(N), real(N)),
        "numpy",
        "add subtract multiply logaddexp logaddexp2 vdot inner dot convolve correlate polyadd",
    ),
    ((real(8), real(8)), "numpy", "outer kron polymul polysub"),
    ((nonzero(N), nonzero(N)), "numpy", "divide true_divide hypot arctan2 copysign"),
    ((positive(N), real(N)), "numpy", "power float_power pow"),
    ((real(3, 8), distinct(3, 8)), "numpy", "maximum minimum fmax fmin"),
    ((real(5, 6),), "numpy", "transpose fliplr flipud rot90 tril triu trace diagonal cov corrcoef matrix_transpose"),
    ((real(4, 5), real(5, 4)), "numpy", "matmul"),
    ((real(8, 3), real(8, 3)), "numpy", "cross vecdot"),
    ((real(4, 5), real(5)), "numpy", "matvec"),
    ((real(5), real(12)), "numpy", "polyval"),
    ((square(5),), "numpy.linalg", "inv det slogdet pinv qr svdvals cond"),
    ((square(5), real(5, 3)), "numpy.linalg", "solve"),
    ((real(5, 6),), "numpy.linalg", "norm vector_norm matrix_norm"),
    ((dominant(5),), "numpy.linalg", "eigvals"),
    ((real(16),), "numpy.fft", "fft ifft rfft irfft hfft ihfft fftshift ifftshift"),
    ((real(4, 6),), "numpy.fft", "fft2 ifft2 rfft2 irfft2 fftn rfftn"),
    (
        (real(N),),
        "scipy.special",
        "erf erfc erfcx dawsn expit ndtr log_ndtr i0 i0e i1 i1e logsumexp softmax log_softmax",
    ),
    ((positive(N),), "scipy.special", "gammaln digamma gamma factorial loggamma entr exp1 expi"),
    ((unit(N),), "scipy.special", "erfinv"),
    ((probability(N),), "scipy.special", "logit ndtri"),
    ((positive(N), positive(N)), "scipy.special", "beta betaln xlogy xlog1py kl_div rel_entr poch"),
    ((real(N),), "scipy.special", "fresnel sici"),
    ((above_one(N), positive(N)), "scipy.special", "zeta"),
    (
        (real(N),),
        "nn",
        (
            "sigmoid softplus soft_sign silu swish gelu mish squareplus log_sigmoid softmax log_softmax logsumexp "
            "standardize glu tanh identity logmeanexp"
        ),
    ),
    (
        (fraction(N),),
        "nn",
        "relu relu6 elu selu celu leaky_relu hard_tanh hard_sigmoid hard_silu sparse_plus sparse_sigmoid",
    ),
    ((positive(N),), "nn", "log1mexp"),
    ((real(N),), "lax", "logistic cumsum cumprod cumlogsumexp bessel_i0e bessel_i1e"),
    ((positive(N),), "lax", "rsqrt lgamma digamma"),
    ((positive(N), positive(N)), "lax", "atan2 pow"),
    ((distinct(N),), "lax", "cummax cummin"),
    ((real(N),), "scipy.stats", "norm.pdf norm.logpdf norm.cdf norm.logcdf norm.sf norm.logsf"),
    (
        (real(N),),
        "scipy.stats",
        "cauchy.pdf cauchy.logpdf cauchy.cdf cauchy.sf cauchy.logcdf logistic.pdf logistic.cdf",
    ),
    (
        (real(N),),
        "scipy.stats",
        "logistic.logpdf logistic.sf gumbel_r.logpdf gumbel_r.cdf gumbel_l.pdf gumbel_l.logcdf",
    ),
    ((nonzero(N),), "scipy.stats", "laplace.pdf laplace.logpdf laplace.cdf"),
    ((positive(N),), "scipy.stats", "expon.pdf expon.logpdf expon.cdf expon.logsf"),
    ((probability(N),), "scipy.stats", "norm.ppf norm.isf cauchy.ppf logistic.ppf expon.ppf"),
    ((real(N), positive(N)), "scipy.stats", "t.logpdf t.pdf vonmises.logpdf"),
    ((positive(N), positive(N)), "scipy.stats", "gamma.logpdf gamma.pdf chi2.logpdf chi2.pdf"),
    ((probability(N), positive(N), positive(N)), "scipy.stats", "beta.logpdf beta.pdf"),
    ((real(16),), "scipy.fft", "dct idct"),
    ((real(4, 5),), "scipy.fft", "dctn idctn"),
    ((real(16), real(5)), "scipy.signal", "convolve correlate fftconvolve"),
    ((real(6, 6), real(3, 3)), "scipy.signal", "convolve2d correlate2d"),
    ((real(N),), "scipy.signal", "detrend"),
    ((square(4),), "scipy.linalg", "expm inv det"),
]
"""Domains, the module under `jax`, and its functions that take nothing but arrays."""

LABELS = np.array([0, 2, 1, 4])
INDEX = np.array([0, 2, 2, 5, 1])
SEGMENTS = np.array([0, 0, 1, 2, 2, 2, 1, 0])
MASK = np.array([[True, False, True, True], [False, True, True, False], [True, True, True, True]])
GRID = np.linspace(-4.0, 4.0, 9)


def symmetric(x: Any) -> Any:
    """Make a square matrix symmetric: what takes a symmetric matrix is then a function of every entry."""
    return (x + x.T) / 2


def _gram(x: Any) -> Any:
    return x @ x.T + 0.5 * jnp.eye(x.shape[0], dtype=x.dtype)


def _scan(x: Any) -> Any:
    return lax.scan(lambda h, row: (jnp.tanh(h + row), h * row), jnp.zeros(4, x.dtype), x)


def _odeint(x: Any) -> Any:
    from jax.experimental.ode import odeint

    return odeint(lambda y, t, k: -k * y + jnp.sin(t), x[:3], jnp.array([0.0, 0.3, 1.0]), x[3:], rtol=1e-12, atol=1e-12)


def _root(x: Any) -> Any:
    def solve(g: Any, start: Any) -> Any:
        return lax.fori_loop(0, 60, lambda _, y: y - g(y) / (1 + 3 * y * y), start)

    return lax.custom_root(lambda y: y + y**3 - x, jnp.zeros_like(x), solve, lambda g, y: y / g(jnp.ones_like(y)))


def _linear_solve(a: Any, b: Any) -> Any:
    return lax.custom_linear_solve(
        lambda v: a @ v, b, lambda _, v: jnp.linalg.solve(a, v), lambda _, v: jnp.linalg.solve(a.T, v)
    )


def _window(x: Any) -> Any:
    return lax.reduce_window(x, -jnp.inf, lax.max, (2, 2), (1, 1), "VALID")


def _mean_window(x: Any) -> Any:
    return lax.reduce_window(x, 0.0, lax.add, (3,), (2,), "SAME") / 3


def _interpolate(values: Any, points: Any) -> Any:
    grid = (jnp.arange(5.0), jnp.arange(6.0))
    return jax.scipy.interpolate.RegularGridInterpolator(grid, values)(points)


def _newton(x: Any) -> Any:
    return lax.while_loop(lambda s: s[0] < 6, lambda s: (s[0] + 1, 0.5 * (s[1] + x / s[1])), (0, x))[1]


def _away(x: Any, beta: Any) -> Any:
    return stats.gennorm.logpdf(x + 0.3 * jnp.sign(x), beta)


ARRAYS: dict[str, Operator] = {
    "numpy.std/axis": (lambda x: jnp.std(x, axis=0, ddof=1), (real(6, 5),)),
    "numpy.var/axis": (lambda x: jnp.var(x, axis=1), (real(6, 5),)),
    "numpy.prod/axis": (lambda x: jnp.prod(x, axis=0), (real(4, 8),)),
    "numpy.max/axis": (lambda x: jnp.max(x, axis=1), (distinct(5, 6),)),
    "numpy.percentile": (lambda x: jnp.percentile(x, 35.0), (distinct(N),)),
    "numpy.quantile": (lambda x: jnp.quantile(x, jnp.array([0.21, 0.63]), axis=0), (distinct(7, 4),)),
    "numpy.nanmedian": (lambda x: jnp.nanmedian(x, axis=0), (distinct(7, 4),)),
    "numpy.nanquantile": (lambda x: jnp.nanquantile(x, 0.37, axis=0), (distinct(7, 4),)),
    "numpy.partition": (lambda x: jnp.sort(jnp.partition(x, 5)[:5]), (distinct(N),)),
    "numpy.clip": (lambda x: jnp.clip(x, -0.5, 0.5), (fraction(N),)),
    "numpy.mod": (lambda x: jnp.mod(x, 1.0), (fraction(N),)),
    "numpy.fmod": (lambda x: jnp.fmod(x, 1.0), (fraction(N),)),
    "numpy.remainder": (lambda x, y: jnp.remainder(x, y), (within(0.2, 0.8, N), within(1.0, 2.0, N))),
    "numpy.divmod": (lambda x: jnp.divmod(x, 0.5), (fraction(N),)),
    "numpy.where": (lambda x, y: jnp.where(x > y, x * y, x - y), (real(3, 8), distinct(3, 8))),
    "numpy.select": (lambda x: jnp.select([x < -0.5, x > 0.5], [x**2, x**3], jnp.sin(x)), (fraction(N),)),
    "numpy.piecewise": (lambda x: jnp.piecewise(x, [x < 0, x >= 0], [jnp.sin, jnp.exp]), (nonzero(N),)),
    "numpy.choose": (lambda x, y: jnp.choose(np.array([0, 1, 1, 0]), [x, y]), (real(5, 4), real(5, 4))),
    "numpy.reshape": (lambda x: jnp.reshape(x, (4, 6)).T @ x[:4], (real(N),)),
    "numpy.roll": (lambda x: jnp.roll(x, 2, axis=1) * x, (real(5, 6),)),
    "numpy.tile": (lambda x: jnp.tile(x, (2, 2)), (real(4, 5),)),
    "numpy.repeat": (lambda x: jnp.repeat(x, 3, axis=1), (real(4, 5),)),
    "numpy.concatenate": (lambda x, y: jnp.concatenate([x, y * 2, x], axis=1), (real(3, 4), real(3, 5))),
    "numpy.stack": (lambda x, y: jnp.stack([x, y], axis=-1), (real(3, 4), real(3, 4))),
    "numpy.block": (lambda x, y: jnp.block([[x, y], [y, x]]), (real(3, 4), real(3, 4))),
    "numpy.split": (lambda x: jnp.split(x, [2, 5], axis=1), (real(3, 8),)),
    "numpy.append": (lambda x, y: jnp.append(x, y), (real(12), real(9))),
    "numpy.insert": (lambda x, y: jnp.insert(x, 3, y), (real(20), real())),
    "numpy.delete": (lambda x: jnp.delete(x, np.array([1, 4])), (real(N),)),
    "numpy.pad/reflect": (lambda x: jnp.pad(x, 2, mode="reflect"), (real(4, 5),)),
    "numpy.pad/edge": (lambda x: jnp.pad(x, 2, mode="edge"), (real(4, 5),)),
    "numpy.pad/linear_ramp": (lambda x: jnp.pad(x, 3, mode="linear_ramp"), (real(N),)),
    "numpy.pad/mean": (lambda x: jnp.pad(x, 2, mode="mean"), (real(4, 5),)),
    "numpy.pad/wrap": (lambda x: jnp.pad(x, 2, mode="wrap"), (real(4, 5),)),
    "numpy.take": (lambda x: jnp.take(x, INDEX, axis=0), (real(6, 4),)),
    "numpy.take_along_axis": (
        lambda x: jnp.take_along_axis(x, jnp.argsort(x, axis=1), axis=1),
        (distinct(4, 6),),
    ),
    "numpy.moveaxis": (lambda x: jnp.moveaxis(x, 0, 2), (real(2, 3, 4),)),
    "numpy.broadcast_to": (lambda x: jnp.broadcast_to(x, (3, 4, 5)), (real(4, 5),)),
    "numpy.einsum": (lambda x, y, z: jnp.einsum("ij,jk,ik->i", x, y, z), (real(3, 4), real(4, 5), real(3, 5))),
    "numpy.einsum/trace": (lambda x: jnp.einsum("iij->j", x), (real(4, 4, 5),)),
    "numpy.tensordot": (lambda x, y: jnp.tensordot(x, y, 2), (real(3, 4, 5), real(4, 5, 2))),
    "numpy.vander": (lambda x: jnp.vander(x, 5), (real(N),)),
    "numpy.interp": (lambda x, y: jnp.interp(x, GRID, y), (fraction(N), real(9))),
    "numpy.interp/all": (
        lambda x, gap, y: jnp.interp(x, jnp.cumsum(gap), y),
        (within(1.2, 3.9, 12), within(0.9, 1.1, 6), real(6)),
    ),
    "numpy.unwrap": (lambda x: jnp.unwrap(x), (within(-2.0, 2.0, N),)),
    "numpy.trapezoid/x": (lambda y, x: jnp.trapezoid(y, x), (real(N), real(N))),
    "numpy.gradient/axes": (lambda x: jnp.gradient(x, 0.5), (real(5, 6),)),
    "numpy.diff/twice": (lambda x: jnp.diff(x, n=2, axis=0), (real(6, 5),)),
    "numpy.ldexp": (lambda x: jnp.ldexp(x, np.array([3, -2, 0, 5])), (real(6, 4),)),
    "numpy.average": (lambda x, w: jnp.average(x, axis=0, weights=w), (real(6, 4), positive(6))),
    "numpy.angle": (lambda x, y: jnp.angle(x + 1j * y), (positive(N), real(N))),
    "numpy.apply_along_axis": (
        lambda x: jnp.apply_along_axis(lambda r: r / jnp.linalg.norm(r), 1, x),
        (real(4, 5),),
    ),
    "numpy.at/set": (lambda x, y: x.at[INDEX[1:4:2]].set(y), (real(6, 4), real(2, 4))),
    "numpy.at/add": (lambda x, y: x.at[INDEX].add(y), (real(6, 4), real(5, 4))),
    "numpy.at/multiply": (
        lambda x, y: x.at[np.array([3, 1])].multiply(y, unique_indices=True),
        (real(6, 4), real(2, 4)),
    ),
    "numpy.at/max": (lambda x, y: x.at[np.array([3, 1, 0, 5])].max(y), (distinct(6), fraction(4))),
    "numpy.at/get": (lambda x: x.at[INDEX, 1].get(), (real(6, 4),)),
    "numpy.polyfit": (lambda y: jnp.polyfit(np.linspace(-1, 1, 20), y, 3), (real(20),)),
    "numpy.polyint": (lambda x: jnp.polyint(x, 2), (real(N),)),
    "numpy.polyder": (lambda x: jnp.polyder(x, 2), (real(N),)),
    "numpy.fill_diagonal": (lambda x, y: jnp.fill_diagonal(x, y, inplace=False), (real(5, 5), real(5))),
    "numpy.ix_": (lambda x: x[jnp.ix_(np.array([0, 2]), np.array([1, 3, 3]))], (real(4, 5),)),
    "numpy.linalg.matrix_power": (lambda x: jnp.linalg.matrix_power(x, 3), (square(5),)),
    "numpy.linalg.matrix_power/-2": (lambda x: jnp.linalg.matrix_power(x, -2), (square(5),)),
    "numpy.linalg.norm/nuc": (lambda x: jnp.linalg.norm(x, "nuc"), (square(5),)),
    "numpy.linalg.norm/2": (lambda x: jnp.linalg.norm(x, 2), (square(5),)),
    "numpy.linalg.norm/1": (lambda x: jnp.linalg.norm(x, 1), (distinct(5, 5),)),
    "numpy.linalg.norm/3": (lambda x: jnp.linalg.norm(x, 3, axis=1), (nonzero(5, 5),)),
    "numpy.linalg.eigvalsh": (lambda x: jnp.linalg.eigvalsh(symmetric(x)), (spd(5),)),
    "numpy.linalg.eigh/projector": (
        lambda x: jnp.linalg.eigh(symmetric(x))[1][:, 0] ** 2,
        (spd(5),),
    ),
    "numpy.linalg.eigh/gram": (lambda x: jnp.linalg.eigh(x @ x.T)[0], (square(5),)),
    "numpy.linalg.cholesky": (lambda x: jnp.linalg.cholesky(_gram(x)), (real(5, 5),)),
    "numpy.linalg.svd": (lambda x: jnp.linalg.svd(x, full_matrices=False), (square(4),)),
    "numpy.linalg.lstsq": (lambda a, b: jnp.linalg.lstsq(a, b)[0], (real(8, 3), real(8))),
    "numpy.linalg.pinv/tall": (lambda x: jnp.linalg.pinv(x), (real(7, 3),)),
    "numpy.linalg.qr/tall": (lambda x: jnp.linalg.qr(x), (real(7, 3),)),
    "numpy.linalg.multi_dot": (lambda x, y, z: jnp.linalg.multi_dot([x, y, z]), (real(3, 4), real(4, 5), real(5, 2))),
    "numpy.linalg.tensorinv": (lambda x: jnp.linalg.tensorinv(x.reshape(4, 2, 2), ind=1), (square(4),)),
    "numpy.linalg.tensorsolve": (
        lambda x, b: jnp.linalg.tensorsolve(x.reshape(2, 2, 2, 2), b),
        (square(4), real(2, 2)),
    ),
    "numpy.fft.irfft/odd": (lambda x: jnp.fft.irfft(jnp.fft.rfft(x) ** 2, 15), (real(15),)),
    "numpy.fft.rfft/power": (lambda x: jnp.abs(jnp.fft.rfft(x)) ** 2, (real(16),)),
    "scipy.special.betainc/x": (lambda x: special.betainc(2.3, 1.7, x), (probability(N),)),
    "scipy.special.gammainc/x": (lambda x: special.gammainc(2.3, x), (positive(N),)),
    "scipy.special.gammaincc/x": (lambda x: special.gammaincc(2.3, x), (positive(N),)),
    "scipy.special.gammainc/a": (lambda a: special.gammainc(a, 2.3), (within(0.5, 6.0, N),)),
    "scipy.special.gammaincc/a": (lambda a: special.gammaincc(a, 2.3), (within(0.5, 6.0, N),)),
    "scipy.special.polygamma": (lambda x: special.polygamma(2, x), (positive(N),)),
    "scipy.special.multigammaln": (lambda x: special.multigammaln(x, 3), (within(2.0, 6.0, N),)),
    "scipy.special.expn": (lambda x: special.expn(3, x), (positive(N),)),
    "scipy.special.hyp1f1/x": (lambda x: special.hyp1f1(1.3, 2.6, x), (real(N),)),
    "scipy.special.hyp2f1/x": (lambda x: special.hyp2f1(0.7, 1.3, 2.4, x), (within(-0.8, 0.8, N),)),
    "scipy.special.boxcox": (lambda x: special.boxcox(x, 0.7), (positive(N),)),
    "scipy.special.boxcox1p": (lambda x: special.boxcox1p(x, 0.7), (positive(N),)),
    "scipy.special.comb": (lambda x: special.comb(x, 2.3), (within(3.0, 8.0, N),)),
    "scipy.special.owens_t": (lambda h, a: special.owens_t(h, a), (real(N), nonzero(N))),
    "scipy.special.wofz": (lambda x: special.wofz(x + 0.5j).real, (real(N),)),
    "scipy.special.logsumexp/b": (lambda x, b: special.logsumexp(x, axis=0, b=b), (real(6, 4), positive(6, 4))),
    "scipy.special.zeta/q": (lambda q: special.zeta(2.5, q), (positive(N),)),
    "scipy.stats.pareto.logpdf": (lambda x, b: stats.pareto.logpdf(x, b), (above_one(N), positive(N))),
    "scipy.stats.poisson.logpmf": (lambda mu: stats.poisson.logpmf(np.array([0, 3, 1, 7]), mu), (positive(6, 4),)),
    "scipy.stats.poisson.cdf": (lambda mu: stats.poisson.cdf(np.array([0, 3, 1, 7]), mu), (positive(6, 4),)),
    "scipy.stats.bernoulli.logpmf": (
        lambda p: stats.bernoulli.logpmf(np.array([0, 1, 1, 0]), p),
        (probability(6, 4),),
    ),
    "scipy.stats.binom.logpmf": (lambda p: stats.binom.logpmf(np.array([0, 3, 5, 7]), 7, p), (probability(6, 4),)),
    "scipy.stats.nbinom.logpmf": (lambda p: stats.nbinom.logpmf(np.array([0, 3, 5, 7]), 7, p), (probability(6, 4),)),
    "scipy.stats.geom.logpmf": (lambda p: stats.geom.logpmf(np.array([1, 3, 5, 7]), p), (probability(6, 4),)),
    "scipy.stats.betabinom.logpmf": (
        lambda a, b: stats.betabinom.logpmf(np.array([0, 3, 5, 7]), 7, a, b),
        (positive(4), positive(4)),
    ),
    "scipy.stats.multinomial.logpmf": (
        lambda p: stats.multinomial.logpmf(np.array([1, 0, 3, 2]), 6, p / p.sum()),
        (positive(4),),
    ),
    "scipy.stats.dirichlet.logpdf": (
        lambda x, a: stats.dirichlet.logpdf(x / x.sum(), a),
        (positive(6), positive(6)),
    ),
    "scipy.stats.multivariate_normal.logpdf": (
        lambda x, m, a: stats.multivariate_normal.logpdf(x, m, a @ a.T + jnp.eye(4)),
        (real(5, 4), real(4), real(4, 4)),
    ),
    "scipy.stats.truncnorm.logpdf": (lambda x: stats.truncnorm.logpdf(x, -2.0, 3.0), (within(-1.5, 2.5, N),)),
    "scipy.stats.truncnorm.cdf": (lambda x: stats.truncnorm.cdf(x, -2.0, 3.0), (within(-1.5, 2.5, N),)),
    "scipy.stats.beta.cdf": (lambda x: stats.beta.cdf(x, 2.0, 3.0), (probability(N),)),
    "scipy.stats.gamma.cdf": (lambda x: stats.gamma.cdf(x, 2.0), (positive(N),)),
    "scipy.stats.gamma.logsf": (lambda x: stats.gamma.logsf(x, 2.5), (positive(N),)),
    "scipy.stats.chi2.logcdf": (lambda x: stats.chi2.logcdf(x, 3.0), (positive(N),)),
    "scipy.stats.wrapcauchy.logpdf": (lambda x: stats.wrapcauchy.logpdf(x, 0.3), (within(0.2, 6.0, N),)),
    "scipy.stats.gennorm.logpdf": (_away, (nonzero(N), above_one(N))),
    "scipy.stats.gaussian_kde": (lambda d, x: stats.gaussian_kde(d)(x), (real(12), real(8))),
    "scipy.stats.norm/parameters": (
        lambda x, m, s: stats.norm.logcdf(x, m, s),
        (real(8), real(8), positive(8)),
    ),
    "scipy.stats.sem": (lambda x: stats.sem(x), (real(8, 3),)),
    "scipy.linalg.expm_frechet": (lambda a, e: linalg.expm_frechet(a, e)[1], (square(3), real(3, 3))),
    "scipy.linalg.cho_solve": (
        lambda a, b: linalg.cho_solve(linalg.cho_factor(_gram(a)), b),
        (real(4, 4), real(4)),
    ),
    "scipy.linalg.lu": (lambda x: linalg.lu(x)[1:], (dominant(5),)),
    "scipy.linalg.lu_solve": (lambda a, b: linalg.lu_solve(linalg.lu_factor(a), b), (square(5), real(5))),
    "scipy.linalg.solve/pos": (lambda a, b: linalg.solve(_gram(a), b, assume_a="pos"), (real(4, 4), real(4))),
    "scipy.linalg.solve_triangular": (
        lambda a, b: linalg.solve_triangular(a, b, lower=True),
        (triangular(5), real(5, 2)),
    ),
    "scipy.linalg.polar": (lambda x: linalg.polar(x, method="svd"), (square(4),)),
    "scipy.linalg.toeplitz": (lambda x, y: linalg.toeplitz(x, y), (real(12), real(12))),
    "scipy.linalg.block_diag": (lambda x, y: linalg.block_diag(x, y), (real(4, 3), real(2, 5))),
    "scipy.linalg.qr": (lambda x: linalg.qr(x, mode="economic"), (square(5),)),
    "scipy.linalg.svd": (lambda x: linalg.svd(x, compute_uv=False), (square(5),)),
    "scipy.linalg.eigh": (lambda x: linalg.eigh(symmetric(x), eigvals_only=True), (spd(5),)),
    "scipy.signal.stft": (lambda x: jax.scipy.signal.stft(x, nperseg=8)[2], (real(N),)),
    "scipy.signal.welch": (lambda x: jax.scipy.signal.welch(x, nperseg=8)[1], (real(N),)),
    "scipy.ndimage.map_coordinates": (
        lambda x, c: jax.scipy.ndimage.map_coordinates(x, [c[0], c[1]], order=1),
        (real(5, 6), within(0.1, 0.9, 2, 8)),
    ),
    "scipy.interpolate.RegularGridInterpolator": (_interpolate, (real(5, 6), within(1.1, 1.9, 6, 2))),
    "scipy.integrate.trapezoid": (lambda x: jax.scipy.integrate.trapezoid(x, dx=0.1), (real(N),)),
    "nn.gelu/exact": (lambda x: nn.gelu(x, approximate=False), (real(N),)),
    "nn.softmax/where": (lambda x: nn.softmax(x, where=MASK, axis=1), (real(3, 4),)),
    "nn.logsumexp/axis": (lambda x: nn.logsumexp(x, axis=1), (real(5, 6),)),
    "nn.standardize/axis": (lambda x: nn.standardize(x, axis=0, epsilon=1e-5), (real(6, 4),)),
    "nn.cross_entropy": (lambda x: -nn.log_softmax(x)[np.arange(4), LABELS].mean(), (real(4, 6),)),
    "nn.one_hot": (lambda x: nn.one_hot(LABELS, 6, dtype=x.dtype) @ x, (real(6, 4),)),
    "lax.conv": (lambda x, k: lax.conv(x, k, (1, 1), "SAME"), (real(1, 2, 5, 5), real(3, 2, 3, 3))),
    "lax.conv/stride": (lambda x, k: lax.conv(x, k, (2, 1), "VALID"), (real(2, 2, 6, 5), real(2, 2, 3, 2))),
    "lax.conv/dilated": (
        lambda x, k: lax.conv_general_dilated(x, k, (1,), [(2, 1)], lhs_dilation=(2,), rhs_dilation=(2,)),
        (real(1, 2, 9), real(3, 2, 3)),
    ),
    "lax.conv/groups": (
        lambda x, k: lax.conv_general_dilated(x, k, (1, 1), "SAME", feature_group_count=2),
        (real(1, 4, 4, 4), real(4, 2, 3, 3)),
    ),
    "lax.conv_transpose": (
        lambda x, k: lax.conv_transpose(x, k, (2,), "SAME", dimension_numbers=("NHC", "HIO", "NHC")),
        (real(1, 6, 2), real(3, 2, 3)),
    ),
    "lax.reduce_window/max": (_window, (distinct(5, 6),)),
    "lax.reduce_window/mean": (_mean_window, (real(N),)),
    "lax.dynamic_slice": (lambda x: lax.dynamic_slice(x, (1, 2), (2, 3)), (real(4, 6),)),
    "lax.dynamic_update_slice": (lambda x, y: lax.dynamic_update_slice(x, y, (1, 2)), (real(4, 6), real(2, 3))),
    "lax.top_k": (lambda x: lax.top_k(x, 5)[0], (distinct(N),)),
    "lax.sort": (lambda x, y: lax.sort((x, y), num_keys=1), (distinct(12), real(12))),
    "lax.associative_scan": (lambda x: lax.associative_scan(jnp.multiply, x), (real(N),)),
    "lax.integer_pow": (lambda x: lax.integer_pow(x, 5), (real(N),)),
    "lax.igamma": (lambda x: lax.igamma(jnp.full_like(x, 1.4), x), (positive(N),)),
    "lax.clamp": (lambda x: lax.clamp(-0.5, x, 0.5), (fraction(N),)),
    "lax.dot_general": (
        lambda x, y: lax.dot_general(x, y, (((2,), (1,)), ((0,), (0,)))),
        (real(2, 3, 4), real(2, 4, 3)),
    ),
    "lax.map": (lambda x: lax.map(lambda r: jnp.sin(r) * r.sum(), x), (real(5, 4),)),
    "lax.scan": (_scan, (real(6, 4),)),
    "lax.fori_loop": (lambda x: lax.fori_loop(0, 5, lambda _, h: jnp.sin(h + x), x), (real(N),)),
    "lax.while_loop": (_newton, (within(1.0, 3.0, 8),)),
    "lax.cond": (lambda x: lax.cond(x.sum() > 0, jnp.sin, jnp.exp, x), (positive(N),)),
    "lax.switch": (lambda x: lax.switch(2, [jnp.sin, jnp.exp, jnp.tanh], x), (real(N),)),
    "lax.reduce": (lambda x: lax.reduce(x, 0.0, lax.add, (1,)), (real(5, 6),)),
    "lax.pad": (lambda x: lax.pad(x, jnp.zeros((), x.dtype), [(1, 2, 1), (-1, 2, 0)]), (real(4, 6),)),
    "lax.rev": (lambda x: lax.rev(x, (0, 1)), (real(4, 6),)),
    "lax.complex": (lambda x, y: jnp.exp(lax.complex(x, y)), (real(12), real(12))),
    "lax.custom_root": (_root, (real(N),)),
    "lax.custom_linear_solve": (_linear_solve, (square(5), real(5))),
    "lax.linalg.triangular_solve": (
        lambda a, b: lax.linalg.triangular_solve(a, b, left_side=True, lower=True, transpose_a=True),
        (triangular(4), real(4, 2)),
    ),
    "lax.linalg.tridiagonal_solve": (
        lambda x, b: lax.linalg.tridiagonal_solve(x[0], 4.0 + x[1], x[2], b),
        (within(0.1, 0.9, 3, 6), real(6, 2)),
    ),
    "image.resize/linear": (lambda x: jax.image.resize(x, (7, 3), "linear"), (real(4, 5),)),
    "image.resize/cubic": (lambda x: jax.image.resize(x, (7, 8), "cubic"), (real(4, 5),)),
    "image.resize/lanczos3": (lambda x: jax.image.resize(x, (3, 4), "lanczos3"), (real(6, 7),)),
    "image.scale_and_translate": (
        lambda x, s, t: jax.image.scale_and_translate(x, (6, 6), (0, 1), s, t, "cubic"),
        (real(5, 5), within(1.1, 1.4, 2), within(0.1, 0.4, 2)),
    ),
    "ops.segment_sum": (lambda x: jax.ops.segment_sum(x, SEGMENTS), (real(8, 3),)),
    "ops.segment_max": (lambda x: jax.ops.segment_max(x, SEGMENTS), (distinct(8, 3),)),
    "experimental.odeint": (_odeint, (within(0.3, 1.5, 6),)),
    "vmap": (jax.vmap(lambda x, y: jnp.dot(x, jnp.sin(y))), (real(4, 5), real(4, 5))),
    "jit": (jax.jit(lambda x: jnp.tanh(x @ x.T).sum()), (real(4, 5),)),
    "checkpoint": (jax.checkpoint(lambda x: jnp.sin(jnp.exp(jnp.tanh(x)))), (real(N),)),
    "grad": (jax.grad(lambda x: jnp.sum(jnp.tanh(x) ** 3)), (real(N),)),
    "hessian": (jax.hessian(lambda x: jnp.prod(jnp.sin(x))), (real(5),)),
    "jacfwd": (jax.jacfwd(lambda x: jnp.sin(x) * x.sum()), (real(5),)),
}
"""What takes more than arrays, or is smooth only after a rearrangement."""


def operators(seed: int, points: int) -> Iterator[Case]:
    """Yield every operator at `points` random interior points, in float64; all derivatives are right."""
    for name, (f, domains) in {**_by_name(), **ARRAYS}.items():
        for point in range(points):
            inputs = tuple(draw(domains, name, seed, point))
            yield Case(f"jax.{name}/{point}", "jax", f, inputs, Truth.RIGHT, options={"backend": "jax"}, smooth=True)


def _by_name() -> dict[str, Operator]:
    found: dict[str, Operator] = {}
    for domains, module, names in BY_NAME:
        for name in names.split():
            path = f"{module}.{name}"
            found[path] = (reduce(getattr, path.split("."), jax), domains)
    return found
