"""Torch's linear algebra: products, factorisations, solvers, Fourier transforms."""

from __future__ import annotations

import torch
from torch import linalg

from cases.torch_points import compound, definite, real, separated, spread, together, twice
from cases.torch_pointwise import Group

PRODUCTS: list[Group] = [
    (twice(real(30)), "torch: dot inner outer ger vdot"),
    (twice(real(30)), "torch.linalg: vecdot"),
    (together(real(3, 4), real(4, 5)), "torch: mm matmul"),
    (together(real(2, 3, 4), real(2, 4, 3)), "torch: bmm matmul"),
    (together(real(3, 4), real(4, 5)), "torch.linalg: matmul"),
    (together(real(4, 5), real(5)), "torch: mv matmul"),
    (together(real(2, 3), real(3, 2)), "torch: kron"),
    (twice(real(4, 3)), "torch: cross linalg.cross inner"),
    (together(real(3, 5), real(3, 4), real(4, 5)), "torch: addmm"),
    (together(real(3), real(3, 4), real(4)), "torch: addmv"),
    (together(real(3, 4), real(3), real(4)), "torch: addr"),
    (together(real(3, 2), real(4, 3, 5), real(4, 5, 2)), "torch: addbmm"),
    (together(real(4, 3, 2), real(4, 3, 5), real(4, 5, 2)), "torch: baddbmm"),
    (
        together(real(3, 4), real(4, 2), real(2, 5)),
        {
            "torch.linalg.multi_dot": lambda a, b, c: linalg.multi_dot([a, b, c]),
            "torch.einsum": lambda a, b, c: torch.einsum("ij,jk,kl->li", a, b, c),
            "torch.einsum[batch]": lambda a, b, c: torch.einsum("ij,jk,kl->jil", a, b, c),
        },
    ),
    (
        together(real(2, 3, 4), real(4, 3, 2)),
        {
            "torch.tensordot": lambda a, b: torch.tensordot(a, b, dims=([2, 1], [0, 1])),
            "torch.tensordot[1]": lambda a, b: torch.tensordot(a, b, dims=1),
            "torch.einsum[trace]": lambda a, b: torch.einsum("ijk,kji->j", a, b),
        },
    ),
    (together(real(5, 3), real(4, 3)), "torch: cdist cdist:3.0 cdist:1.5"),
    (real(5, 3), {"torch.pdist": torch.pdist, "torch.nn.functional.pdist": torch.nn.functional.pdist}),
    (together(real(4, 5), real(4, 5)), {"torch.cosine_similarity": torch.cosine_similarity}),
]

NORMS: list[Group] = [
    (real(4, 5), "torch.linalg: norm vector_norm vector_norm:3 vector_norm:0.5 matrix_norm"),
    (spread(4, 5), {"torch.linalg.norm[nuc]": lambda x: linalg.norm(x, "nuc")}),
    (
        spread(5, 5),
        {
            "torch.linalg.norm[2]": lambda x: linalg.norm(x, 2),
            "torch.linalg.matrix_norm[-2]": lambda x: linalg.matrix_norm(x, -2),
            "torch.linalg.norm[1]": lambda x: linalg.norm(x, 1),
            "torch.linalg.matrix_norm[inf]": lambda x: linalg.matrix_norm(x, float("inf")),
            "torch.linalg.cond": linalg.cond,
            "torch.norm[p=4]": lambda x: torch.norm(x, p=4, dim=1),
            "torch.norm[inf]": lambda x: torch.norm(x, p=float("inf")),
            "torch.norm[nuc]": lambda x: torch.norm(x, "nuc"),
        },
    ),
]

FACTORS: list[Group] = [
    (spread(5, 5), "torch.linalg: det slogdet inv pinv matrix_power:3 matrix_power:-2 svdvals lu_factor"),
    (spread(5, 5), "torch: det slogdet inverse pinverse matrix_power:2 matrix_exp"),
    (real(4, 4, size=0.5), "torch.linalg: matrix_exp"),
    (spread(3, 3, 2), "torch.linalg: inv det svdvals pinv"),
    (definite(5), "torch: logdet"),
    (definite(5), {"torch.cholesky": lambda x: torch.cholesky((x + x.mT) / 2)}),
    (definite(5), {"torch.linalg.cholesky": lambda x: linalg.cholesky((x + x.mT) / 2)}),
    (definite(4, 2), "torch.linalg: inv slogdet"),
    (
        spread(6, 4),
        {
            "torch.linalg.svd[projector]": lambda x: _projector(linalg.svd(x, full_matrices=False)),
            "torch.svd": lambda x: _projector(torch.svd(x)),
            "torch.linalg.svdvals[tall]": linalg.svdvals,
            "torch.linalg.qr": linalg.qr,
            "torch.linalg.pinv[tall]": linalg.pinv,
            "torch.pinverse[tall]": torch.pinverse,
        },
    ),
    (
        spread(5, 5),
        {
            "torch.linalg.eigh": lambda x: _spectrum(linalg.eigh(x + x.mT)),
            "torch.linalg.eigvalsh": lambda x: linalg.eigvalsh(x + x.mT),
            "torch.linalg.lu": lambda x: linalg.lu(x)[1:],
            "torch.lu_unpack": lambda x: torch.lu_unpack(*linalg.lu_factor(x))[2],
            "torch.linalg.inv_ex": lambda x: linalg.inv_ex(x).inverse,
            "torch.linalg.tensorinv": lambda x: linalg.tensorinv(x.reshape(5, 5), ind=1),
            "torch.linalg.cholesky[mT]": lambda x: linalg.cholesky(x @ x.mT),
            "torch.linalg.cholesky_ex": lambda x: linalg.cholesky_ex(x @ x.mT).L,
            "torch.cholesky[upper]": lambda x: torch.cholesky(x @ x.mT, upper=True),
        },
    ),
    (
        separated(5),
        {
            "torch.linalg.eigvals": linalg.eigvals,
            "torch.linalg.eig": lambda x: _spectrum(linalg.eig(x)),
            "torch.linalg.eigvals[abs]": lambda x: linalg.eigvals(x).abs(),
        },
    ),
    (compound(4, 4), "torch.linalg: det inv svdvals matrix_power:2"),
]

SOLVERS: list[Group] = [
    (together(spread(5, 5), real(5, 2)), "torch.linalg: solve"),
    (together(spread(4, 4, 3), real(3, 4, 1)), "torch.linalg: solve"),
    (
        together(spread(5, 5), real(5, 2)),
        {
            "torch.linalg.solve_ex": lambda a, b: linalg.solve_ex(a, b).result,
            "torch.linalg.solve[right]": lambda a, b: linalg.solve(a, b.mT, left=False),
            "torch.linalg.lu_solve": lambda a, b: linalg.lu_solve(*linalg.lu_factor(a), b),
            "torch.lu_solve": lambda a, b: torch.lu_solve(b, *linalg.lu_factor(a)),
            "torch.linalg.solve_triangular": lambda a, b: linalg.solve_triangular(_upper(a), b, upper=True),
            "torch.triangular_solve": lambda a, b: torch.triangular_solve(b, _upper(a)).solution,
            "torch.cholesky_solve": lambda a, b: torch.cholesky_solve(b, linalg.cholesky(a @ a.mT)),
            "torch.linalg.tensorsolve": lambda a, b: linalg.tensorsolve(a, b[:, 0]),
        },
    ),
    (together(spread(6, 4), real(6, 2)), {"torch.linalg.lstsq": lambda a, b: linalg.lstsq(a, b).solution}),
    (real(6), "torch.linalg: vander"),
    (
        together(spread(5, 3), real(3)),
        {"torch.linalg.householder_product": lambda a, t: linalg.householder_product(a, t)},
    ),
]

FOURIER: list[Group] = [
    (real(32), "torch.fft: fft ifft rfft ihfft fftshift ifftshift"),
    (real(6, 8), "torch.fft: fft2 ifft2 rfft2 fftn rfftn ifftn"),
    (compound(24), "torch.fft: fft ifft irfft hfft fftn"),
    (compound(3, 5), "torch.fft: fft2 ifft2 irfft2 irfftn hfft2 hfftn fftshift"),
    (real(3, 6), "torch.fft: ihfft2 ihfftn fft:8 rfft:5"),
    (
        real(32),
        {
            "torch.stft": lambda x: torch.stft(x, 8, 4, window=_window(), return_complex=True),
            "torch.istft": lambda x: torch.istft(
                torch.stft(x, 8, 4, window=_window(), return_complex=True) * 2, 8, 4, window=_window()
            ),
            "torch.fft.rfft[power]": lambda x: torch.fft.rfft(x).abs().square(),
        },
    ),
]


def _window() -> torch.Tensor:
    return torch.hann_window(8, dtype=torch.float64) + 0.1


def _upper(a: torch.Tensor) -> torch.Tensor:
    return a.triu() + 6 * torch.eye(a.shape[-1], dtype=a.dtype)


def _projector(factors: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what does not depend on the signs of singular vectors."""
    return factors[0][:, :2] @ factors[0][:, :2].mT, factors[1]


def _spectrum(pair: tuple[torch.Tensor, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return eigenvalues and the squared magnitudes of the components of unit eigenvectors."""
    return pair[0], pair[1].abs().square()


ALGEBRA = [*PRODUCTS, *NORMS, *FACTORS, *SOLVERS, *FOURIER]
