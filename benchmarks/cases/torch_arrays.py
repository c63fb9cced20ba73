"""Torch's operators on whole arrays: reductions, running sums, selection, indexing, shapes."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from cases.torch_points import compound, distinct, off, positive, probabilities, real, together, twice
from cases.torch_pointwise import Group

ROWS = torch.tensor([2, 0, 3])
PLACES = torch.tensor([[0, 2, 1, 3, 4, 0], [3, 1, 0, 2, 2, 4], [1, 1, 4, 0, 3, 2]])
HOLES = torch.tensor([[True, False, True], [False, False, True], [True, True, False], [False, True, False]])

REDUCTIONS: list[Group] = [
    (real(8, 12), "torch: sum mean std var logsumexp:1 sum:0 mean:1 std:0 var:1 nansum nanmean norm std_mean var_mean"),
    (real(8, 12), "torch.special: logsumexp:0"),
    (off(0.0)(3, 4), "torch: prod prod:1"),
    (real(8, 10), "torch.Tensor: sum mean std var norm:3 norm:1.5 logsumexp:0 nansum"),
    (real(8, 10), "torch: cumsum:1 diff trapezoid trapz cumulative_trapezoid cov corrcoef"),
    (off(0.0)(6, 8), "torch: cumprod:1 cumprod:0"),
    (
        real(4, 7),
        {
            "torch.gradient": lambda x: torch.gradient(x, spacing=0.5, dim=1)[0],
            "torch.diff[n=2]": lambda x: torch.diff(x, n=2, dim=1),
            "torch.trapezoid[x]": lambda x: torch.trapezoid(x, torch.linspace(0, 1, 7, dtype=x.dtype) ** 2),
            "torch.renorm": lambda x: torch.renorm(x, 2, 0, 0.5),
            "torch.cov[correction]": lambda x: torch.cov(x, correction=0),
            "torch.std[correction]": lambda x: torch.std(x, dim=1, correction=2, keepdim=True),
        },
    ),
]

SELECTION: list[Group] = [
    (distinct(8, 12), "torch: max min amax:1 amin:0 max:1 min:0 aminmax median nanmedian median:1 sort"),
    (distinct(8, 12), "torch: sort:0 msort topk:3 kthvalue:2 cummax:1 cummin:0 quantile:0.3 nanquantile:0.7 mode"),
    (distinct(8, 12), "torch.Tensor: sort max min amax amin median topk:2 kthvalue:3 quantile:0.55 cummax:0"),
    (
        distinct(4, 6),
        {
            "torch.quantile[dim]": lambda x: torch.quantile(x, torch.tensor([0.11, 0.52], dtype=x.dtype), dim=1),
            "torch.nanquantile[dim]": lambda x: torch.nanquantile(x, 0.42, dim=0),
            "torch.quantile[nearest]": lambda x: torch.quantile(x, 0.37, dim=1, interpolation="nearest"),
            "torch.topk[smallest]": lambda x: torch.topk(x, 2, dim=0, largest=False),
            "torch.sort[values]": lambda x: torch.sort(x, dim=1, descending=True).values,
            "torch.Tensor.gather": lambda x: x.gather(1, x.argsort(1)),
        },
    ),
    (twice(distinct(6, 8)), "torch.Tensor: minimum maximum fmin fmax"),
]

INDEXING: list[Group] = [
    (
        real(5, 6),
        {
            "torch.gather": lambda x: torch.gather(x, 0, PLACES),
            "torch.index_select": lambda x: torch.index_select(x, 0, ROWS),
            "torch.take": lambda x: torch.take(x, PLACES),
            "torch.take_along_dim": lambda x: torch.take_along_dim(x, PLACES, 0),
            "torch.Tensor.__getitem__": lambda x: x[1:4, ::2] * x[ROWS[0], 0],
            "torch.Tensor.__getitem__[integers]": lambda x: x[ROWS, ROWS],
            "torch.select": lambda x: torch.select(x, 1, 2),
            "torch.narrow": lambda x: torch.narrow(x, 1, 1, 3),
            "torch.index_fill": lambda x: torch.index_fill(x, 0, ROWS, 0.5),
            "torch.diagonal": lambda x: torch.diagonal(x, 1),
            "torch.diag": torch.diag,
            "torch.tril": lambda x: torch.tril(x, -1),
            "torch.triu": lambda x: torch.triu(x, 1),
            "torch.as_strided": lambda x: torch.as_strided(x, (4, 3), (6, 2), 1),
            "torch.Tensor.unfold": lambda x: x.unfold(1, 3, 2),
        },
    ),
    (
        together(real(5, 6), real(3, 6)),
        {
            "torch.scatter": lambda x, y: torch.scatter(x, 1, PLACES.argsort(1), y),
            "torch.scatter_add": lambda x, y: torch.scatter_add(x, 0, PLACES, y),
            "torch.index_add": lambda x, y: torch.index_add(x, 0, ROWS, y, alpha=2.0),
            "torch.index_copy": lambda x, y: torch.index_copy(x, 0, ROWS, y),
            "torch.index_put": lambda x, y: torch.index_put(x, (ROWS,), y, accumulate=True),
            "torch.scatter_reduce[sum]": lambda x, y: torch.scatter_reduce(x, 0, PLACES, y, "sum"),
            "torch.scatter_reduce[mean]": lambda x, y: torch.scatter_reduce(x, 0, PLACES, y, "mean"),
            "torch.scatter_reduce[amax]": lambda x, y: torch.scatter_reduce(x, 0, PLACES, y, "amax"),
            "torch.index_reduce[mean]": lambda x, y: torch.index_reduce(x, 0, ROWS, y, "mean"),
            "torch.slice_scatter": lambda x, y: torch.slice_scatter(x, y, 0, 1, 4),
            "torch.select_scatter": lambda x, y: torch.select_scatter(x, y[0], 0, 2),
            "torch.diagonal_scatter": lambda x, y: torch.diagonal_scatter(x, y[0, :5]),
            "torch.Tensor.index_add_": lambda x, y: x.clone().index_add_(0, ROWS, y),
            "torch.Tensor.scatter_": lambda x, y: x.clone().scatter_(1, PLACES.argsort(1), y),
            "torch.Tensor.put_": lambda x, y: x.clone().put_(torch.tensor([3, 8, 20]), y[:, 0]),
        },
    ),
    (
        together(real(4, 3), real(12)),
        {
            "torch.masked_scatter": lambda x, y: torch.masked_scatter(x, HOLES, y),
            "torch.Tensor.masked_fill": lambda x, y: x.masked_fill(HOLES, 0.0) + y[:3],
        },
    ),
    (
        real(7, 4),
        {
            "torch.nn.functional.embedding": lambda w: F.embedding(PLACES, w),
            "torch.nn.functional.embedding[padding]": lambda w: F.embedding(PLACES, w[:6] * 2, padding_idx=None),
            "torch.nn.functional.embedding_bag[mean]": lambda w: F.embedding_bag(PLACES, w, mode="mean"),
            "torch.nn.functional.embedding_bag[sum]": lambda w: F.embedding_bag(PLACES, w, mode="sum"),
        },
    ),
    (distinct(7, 4), {"torch.nn.functional.embedding_bag[max]": lambda w: F.embedding_bag(PLACES, w, mode="max")}),
]

SHAPES: list[Group] = [
    (real(8, 10), "torch: fliplr flipud rot90 t ravel flatten transpose:0:1 swapaxes:0:1 swapdims:0:1 clone"),
    (real(8, 10), "torch: movedim:0:1 moveaxis:0:1 unsqueeze:1 squeeze roll:2 chunk:2 split:2 unbind tensor_split:2"),
    (
        real(8, 10),
        "torch: hsplit:2 vsplit:2 atleast_3d repeat_interleave:2 diag_embed diagflat trace narrow_copy:0:1:2",
    ),
    (real(8, 10), "torch.Tensor: view:-1 reshape:4:20 expand:2:8:10 repeat:2:1 tile:2 flatten permute:1:0 contiguous"),
    (twice(real(3, 4)), {"torch.cat": lambda x, y: torch.cat([x, y * x], 1)}),
    (
        twice(real(3, 4)),
        {
            "torch.concat": lambda x, y: torch.concat([x, y], 0),
            "torch.stack": lambda x, y: torch.stack([x, y], 1),
            "torch.hstack": lambda x, y: torch.hstack([x, y]),
            "torch.vstack": lambda x, y: torch.vstack([x, y]),
            "torch.dstack": lambda x, y: torch.dstack([x, y]),
            "torch.column_stack": lambda x, y: torch.column_stack([x, y]),
            "torch.row_stack": lambda x, y: torch.row_stack([x, y]),
            "torch.block_diag": lambda x, y: torch.block_diag(x, y),
            "torch.broadcast_tensors": lambda x, y: torch.broadcast_tensors(x[:1], y)[0] * y,
            "torch.cartesian_prod": lambda x, y: torch.cartesian_prod(x[0], y[1]),
            "torch.combinations": lambda x, y: torch.combinations(x[0] * y[0], 2),
            "torch.meshgrid": lambda x, y: torch.meshgrid(x[0], y[0], indexing="ij"),
            "torch.broadcast_to": lambda x, y: torch.broadcast_to(x[0], (2, 4)) + y[0],
            "torch.flip": lambda x, y: torch.flip(x * y, (0, 1)),
            "torch.permute": lambda x, y: torch.permute(x * y, (1, 0)),
            "torch.tile": lambda x, y: torch.tile(x + y, (1, 2)),
            "torch.unflatten": lambda x, y: torch.unflatten(x * y, 1, (2, 2)),
            "torch.constant_pad_nd": lambda x, y: torch.constant_pad_nd(x * y, (1, 2), 0.5),
        },
    ),
    (
        real(2, 3, 5),
        {
            "torch.nn.functional.pad": lambda x: F.pad(x, (1, -1, 0, 2)),
            "torch.nn.functional.pad[reflect]": lambda x: F.pad(x, (2, 1), mode="reflect"),
            "torch.nn.functional.pad[replicate]": lambda x: F.pad(x, (2, 1), mode="replicate"),
            "torch.nn.functional.pad[circular]": lambda x: F.pad(x, (2, 1), mode="circular"),
        },
    ),
]

PROBABILITIES: list[Group] = [
    (probabilities(3, 5), "torch.special: entr xlogy:2.0"),
    (positive(3, 5), {"torch.nn.functional.normalize[p=1]": lambda x: F.normalize(x, p=1.0)}),
    (compound(5, 3), {"torch.index_select[complex]": lambda x: torch.index_select(x, 0, ROWS)}),
]

ARRAYS = [*REDUCTIONS, *SELECTION, *INDEXING, *SHAPES, *PROBABILITIES]
