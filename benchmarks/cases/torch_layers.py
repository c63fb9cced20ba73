"""Torch's layers: convolutions, pooling, normalisation, losses, attention, recurrent cells, resampling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from cases.torch_points import between, distinct, off, positive, probabilities, real, together, twice
from cases.torch_pointwise import Group

LABELS = torch.tensor([2, 0, 4, 1])
SIGNS = torch.tensor([1.0, -1.0, -1.0, 1.0], dtype=torch.float64)
MANY = torch.tensor([[1, 0, 0, 1, 1], [0, 1, 0, 0, 1], [1, 1, 1, 0, 0], [0, 0, 1, 1, 0]])
MEANS = torch.tensor([0.3, -0.2, 1.0], dtype=torch.float64)
VARIANCES = torch.tensor([0.5, 2.0, 1.3], dtype=torch.float64)
CAUSAL = torch.ones(4, 4, dtype=torch.bool).tril()


def _conv(name: str, **options: Any) -> Callable[..., torch.Tensor]:
    return lambda x, w, b: getattr(F, name)(x, w, b, **options)


CONVOLUTIONS: list[Group] = [
    (
        together(real(2, 4, 8), real(6, 4, 3), real(6)),
        {
            "torch.nn.functional.conv1d": _conv("conv1d"),
            "torch.nn.functional.conv1d[stride]": _conv("conv1d", stride=2, padding=1),
            "torch.nn.functional.conv1d[same]": _conv("conv1d", padding="same"),
        },
    ),
    (
        together(real(2, 4, 8), real(6, 2, 3), real(6)),
        {"torch.nn.functional.conv1d[groups]": _conv("conv1d", groups=2, dilation=2)},
    ),
    (
        together(real(1, 2, 6, 6), real(4, 2, 3, 3), real(4)),
        {
            "torch.nn.functional.conv2d": _conv("conv2d", padding=1),
            "torch.nn.functional.conv2d[stride]": _conv("conv2d", stride=2),
            "torch.nn.functional.conv2d[dilation]": _conv("conv2d", dilation=2),
        },
    ),
    (
        together(real(1, 4, 5, 5), real(4, 1, 3, 3), real(4)),
        {"torch.nn.functional.conv2d[depthwise]": _conv("conv2d", groups=4)},
    ),
    (
        together(real(1, 2, 3, 4, 3), real(3, 2, 2, 2, 2), real(3)),
        {"torch.nn.functional.conv3d": _conv("conv3d"), "torch.nn.functional.conv3d[pad]": _conv("conv3d", padding=1)},
    ),
    (
        together(real(2, 3, 5), real(3, 4, 3), real(4)),
        {
            "torch.nn.functional.conv_transpose1d": _conv("conv_transpose1d"),
            "torch.nn.functional.conv_transpose1d[stride]": _conv("conv_transpose1d", stride=2, output_padding=1),
        },
    ),
    (
        together(real(1, 4, 4, 4), real(4, 2, 3, 3), real(4)),
        {"torch.nn.functional.conv_transpose2d[groups]": _conv("conv_transpose2d", stride=2, groups=2)},
    ),
    (
        together(real(1, 2, 4, 4), real(2, 3, 3, 3), real(3)),
        {"torch.nn.functional.conv_transpose2d": _conv("conv_transpose2d", padding=1)},
    ),
    (
        together(real(1, 2, 2, 3, 2), real(2, 2, 2, 2, 2), real(2)),
        {"torch.nn.functional.conv_transpose3d": _conv("conv_transpose3d")},
    ),
    (together(real(4, 5), real(3, 5), real(3)), "torch.nn.functional: linear"),
    (together(real(4, 3), real(4, 2), real(5, 3, 2), real(5)), "torch.nn.functional: bilinear"),
    (together(real(4, 2, 5), real(3, 5, 6), real(6)), {"torch.conv_tbc": lambda x, w, b: torch.conv_tbc(x, w, b)}),
]

POOLING: list[Group] = [
    (distinct(2, 2, 9), "torch.nn.functional: max_pool1d:3 avg_pool1d:3 adaptive_max_pool1d:4 adaptive_avg_pool1d:4"),
    (distinct(1, 2, 6, 6), "torch.nn.functional: max_pool2d:2 avg_pool2d:3 adaptive_max_pool2d:3"),
    (distinct(1, 2, 6, 6), "torch.nn.functional: adaptive_avg_pool2d:4 max_pool2d:3:1:1 avg_pool2d:3:2:1"),
    (distinct(1, 1, 4, 4, 4), "torch.nn.functional: max_pool3d:2 avg_pool3d:2 adaptive_avg_pool3d:3"),
    (distinct(1, 1, 4, 4, 4), "torch.nn.functional: adaptive_max_pool3d:2"),
    (positive(2, 2, 8), "torch.nn.functional: lp_pool1d:2:3"),
    (positive(1, 2, 6, 4), "torch.nn.functional: lp_pool2d:3:2"),
    (
        distinct(1, 2, 6, 6),
        {
            "torch.nn.functional.max_unpool2d": lambda x: F.max_unpool2d(*F.max_pool2d(x, 2, return_indices=True), 2),
            "torch.nn.functional.fractional_max_pool2d": lambda x: F.fractional_max_pool2d(
                x, 2, output_size=3, _random_samples=torch.full((1, 2, 2), 0.4, dtype=x.dtype)
            ),
        },
    ),
]

NORMALISATION: list[Group] = [
    (
        together(real(6, 3), real(3), real(3)),
        {
            "torch.nn.functional.batch_norm": lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True),
            "torch.nn.functional.layer_norm": lambda x, w, b: F.layer_norm(x, (3,), w, b),
            "torch.nn.functional.rms_norm": lambda x, w, b: F.rms_norm(x, (3,), w) + b,
            "torch.nn.functional.batch_norm[eval]": lambda x, w, b: F.batch_norm(x, MEANS, VARIANCES, w, b),
        },
    ),
    (
        together(real(2, 4, 5), real(4), real(4)),
        {
            "torch.nn.functional.group_norm": lambda x, w, b: F.group_norm(x, 2, w, b),
            "torch.nn.functional.instance_norm": lambda x, w, b: F.instance_norm(x, weight=w, bias=b),
            "torch.nn.functional.batch_norm[3d]": lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True),
        },
    ),
    (real(3, 6), "torch.nn.functional: normalize normalize:3.0:0"),
    (
        real(2, 6, 4),
        {"torch.nn.functional.local_response_norm": lambda x: F.local_response_norm(x, 3, alpha=0.3, k=0.7)},
    ),
]

LOSSES: list[Group] = [
    (twice(real(6, 8)), "torch.nn.functional: mse_loss l1_loss smooth_l1_loss huber_loss cosine_similarity"),
    (twice(real(6, 8)), "torch.nn.functional: pairwise_distance poisson_nll_loss"),
    (
        real(4, 5),
        {
            "torch.nn.functional.cross_entropy": lambda x: F.cross_entropy(x, LABELS),
            "torch.nn.functional.cross_entropy[smoothing]": lambda x: F.cross_entropy(
                x, LABELS, label_smoothing=0.1, reduction="none"
            ),
            "torch.nn.functional.nll_loss": lambda x: F.nll_loss(x, LABELS, reduction="sum"),
            "torch.nn.functional.multi_margin_loss": lambda x: F.multi_margin_loss(x, LABELS),
            "torch.nn.functional.multilabel_soft_margin_loss": lambda x: F.multilabel_soft_margin_loss(x, MANY),
            "torch.nn.functional.multilabel_margin_loss": lambda x: F.multilabel_margin_loss(x, MANY * 3 - 1),
            "torch.nn.functional.soft_margin_loss": lambda x: F.soft_margin_loss(x, MANY * 2.0 - 1),
            "torch.nn.functional.binary_cross_entropy_with_logits": lambda x: F.binary_cross_entropy_with_logits(
                x, MANY.to(x.dtype), pos_weight=torch.full((5,), 1.5, dtype=x.dtype)
            ),
            "torch.nn.functional.hinge_embedding_loss": lambda x: F.hinge_embedding_loss(x, SIGNS[:, None]),
        },
    ),
    (
        together(between(0.1, 0.9, 4, 5), between(0.1, 0.9, 4, 5)),
        {"torch.nn.functional.binary_cross_entropy": F.binary_cross_entropy},
    ),
    (
        together(real(4, 5), probabilities(4, 5)),
        {
            "torch.nn.functional.kl_div": lambda x, p: F.kl_div(F.log_softmax(x, 1), p, reduction="batchmean"),
            "torch.nn.functional.cross_entropy[probabilities]": F.cross_entropy,
            "torch.nn.functional.kl_div[log]": lambda x, p: F.kl_div(x, p.log(), reduction="sum", log_target=True),
        },
    ),
    (together(real(4, 5), real(4, 5), positive(4, 5)), "torch.nn.functional: gaussian_nll_loss triplet_margin_loss"),
    (
        together(real(4, 5), real(4, 5), real(4, 5)),
        {
            "torch.nn.functional.triplet_margin_with_distance_loss": F.triplet_margin_with_distance_loss,
            "torch.nn.functional.cosine_embedding_loss": lambda x, y, z: F.cosine_embedding_loss(x, y + z, SIGNS),
            "torch.nn.functional.margin_ranking_loss": lambda x, y, z: F.margin_ranking_loss(
                x + z, y, SIGNS[:, None], margin=0.2
            ),
        },
    ),
    (
        real(6, 2, 4),
        {
            "torch.nn.functional.ctc_loss": lambda x: F.ctc_loss(
                F.log_softmax(x, 2), torch.tensor([[1, 2, 3], [3, 1, 1]]), torch.tensor([6, 6]), torch.tensor([3, 2])
            )
        },
    ),
]

ATTENTION: list[Group] = [
    (
        together(real(2, 4, 3), real(2, 4, 3), real(2, 4, 3)),
        {
            "torch.nn.functional.scaled_dot_product_attention": F.scaled_dot_product_attention,
            "torch.nn.functional.scaled_dot_product_attention[causal]": lambda q, k, v: F.scaled_dot_product_attention(
                q, k, v, is_causal=True
            ),
            "torch.nn.functional.scaled_dot_product_attention[mask]": lambda q, k, v: F.scaled_dot_product_attention(
                q, k, v, attn_mask=CAUSAL, scale=0.3
            ),
        },
    ),
    (
        together(real(3, 2, 4), real(12, 4), real(12), real(4, 4)),
        {
            "torch.nn.functional.multi_head_attention_forward": lambda x, w, b, o: F.multi_head_attention_forward(
                x, x, x, 4, 2, w, b, None, None, False, 0.0, o, None, need_weights=False
            )[0]
        },
    ),
]

CELLS: list[Group] = [
    (
        together(real(2, 3), real(2, 4), real(4, 3), real(4, 4)),
        {"torch.rnn_tanh_cell": torch.rnn_tanh_cell, "torch.rnn_relu_cell": torch.rnn_relu_cell},
    ),
    (together(real(2, 3), real(2, 4), real(12, 3), real(12, 4)), {"torch.gru_cell": torch.gru_cell}),
    (
        together(real(2, 3), real(2, 4), real(2, 4), real(16, 3), real(16, 4)),
        {"torch.lstm_cell": lambda x, h, c, w, u: torch.lstm_cell(x, (h, c), w, u)},
    ),
    (
        together(real(5, 1, 2), real(9, 2), real(9, 3), real(9), real(9)),
        {"torch.gru": lambda x, *w: torch.gru(x, torch.zeros(1, 1, 3).double(), w, True, 1, 0.0, False, False, False)},
    ),
    (
        together(real(4, 1, 2), real(12, 2), real(12, 3), real(12), real(12)),
        {
            "torch.lstm": lambda x, *w: torch.lstm(
                x, (torch.zeros(1, 1, 3).double(),) * 2, w, True, 1, 0.0, False, False, False
            )[0]
        },
    ),
]

RESAMPLING: list[Group] = [
    (
        real(1, 2, 4, 4),
        {
            "torch.nn.functional.interpolate": lambda x: F.interpolate(x, scale_factor=2),
            "torch.nn.functional.interpolate[bilinear]": lambda x: F.interpolate(x, size=(7, 5), mode="bilinear"),
            "torch.nn.functional.interpolate[bicubic]": lambda x: F.interpolate(
                x, size=(6, 6), mode="bicubic", align_corners=True
            ),
            "torch.nn.functional.interpolate[area]": lambda x: F.interpolate(x, size=(3, 3), mode="area"),
            "torch.nn.functional.interpolate[antialias]": lambda x: F.interpolate(
                x, size=(9, 8), mode="bilinear", antialias=True
            ),
            "torch.nn.functional.unfold": lambda x: F.unfold(x, 3, padding=1),
            "torch.nn.functional.pixel_unshuffle": lambda x: F.pixel_unshuffle(x, 2),
            "torch.channel_shuffle": lambda x: torch.channel_shuffle(x, 2),
            "torch.nn.functional.dropout[eval]": lambda x: F.dropout(x.sin(), training=False),
        },
    ),
    (real(1, 2, 6), {"torch.nn.functional.interpolate[linear]": lambda x: F.interpolate(x, size=9, mode="linear")}),
    (
        real(1, 1, 2, 3, 3),
        {"torch.nn.functional.interpolate[trilinear]": lambda x: F.interpolate(x, size=(3, 4, 4), mode="trilinear")},
    ),
    (real(1, 8, 2, 3), {"torch.nn.functional.pixel_shuffle": lambda x: F.pixel_shuffle(x, 2)}),
    (real(1, 8, 6), {"torch.nn.functional.fold": lambda x: F.fold(x, (3, 4), 2)}),
    (real(2, 2, 3), {"torch.nn.functional.affine_grid": lambda t: F.affine_grid(t, [2, 1, 3, 4], align_corners=False)}),
    (real(2, 3, 4), {"torch.nn.functional.affine_grid[3d]": lambda t: F.affine_grid(t, [2, 1, 2, 2, 2], True)}),
    (
        together(real(1, 2, 5, 5), between(-0.9, 0.9, 1, 3, 4, 2)),
        {
            "torch.nn.functional.grid_sample": lambda x, g: F.grid_sample(x, g, align_corners=False),
            "torch.nn.functional.grid_sample[bicubic]": lambda x, g: F.grid_sample(
                x, g, mode="bicubic", padding_mode="border", align_corners=True
            ),
            "torch.nn.functional.grid_sample[reflection]": lambda x, g: F.grid_sample(
                x, 1.5 * g, padding_mode="reflection", align_corners=False
            ),
        },
    ),
    (off(0.0)(2, 6), {"torch.nn.functional.logsigmoid[2d]": F.logsigmoid}),
]

LAYERS = [
    *CONVOLUTIONS,
    *POOLING,
    *NORMALISATION,
    *LOSSES,
    *ATTENTION,
    *CELLS,
    *RESAMPLING,
]
