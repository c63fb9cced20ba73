"""What in a function of PyTorch lets values decide which inputs an output depends on.

Operators are seen where torch dispatches them, so that those that are made of others show what they are made of. What
was made of the inputs is told by its memory: a mask that is constant decides nothing by values. Operators that are
known to be analytic, or to only arrange numbers, are left out. All others are named, known or not.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from xcheck_backends.torch_tape import (
    as_tensors,
    custom_nodes,
    draws_put_back,
    generated_operators,
    not_leaf,
    recording,
    variable,
)

FLAT = " (flat pieces)"
"""What follows the name of an operator that has pieces of zero slope."""

OPAQUE = "opaque"
"""What stands for all that cannot be looked through."""

ARRANGING = """
    _conj _fw_primal _lazy_clone _make_dual _neg_view _reshape_alias _stack _to_copy _unsafe_index
    _unsafe_index_put _unsafe_masked_index _unsafe_masked_index_put_accumulate _unsafe_view alias as_strided
    as_strided_scatter block_diag cat channel_shuffle clone col2im complex constant_pad_nd contiguous copy
    detach diag_embed diagonal diagonal_scatter embedding embedding_dense expand fill flip gather im2col index
    index_add index_copy index_fill index_put index_select lift lift_fresh masked_fill masked_scatter permute
    pixel_shuffle pixel_unshuffle polar put reflection_pad1d reflection_pad2d reflection_pad3d repeat
    replication_pad1d replication_pad2d replication_pad3d resolve_conj resolve_neg roll rot90 scatter
    scatter_add select select_scatter slice slice_scatter split split_with_sizes squeeze stack t take
    transpose tril triu unbind unfold unsafe_split unsafe_split_with_sizes unsqueeze view view_as_complex
    view_as_real zero
"""
"""Operators that arrange numbers, as shapes and integers tell."""

ANALYTIC = """
    _adaptive_avg_pool2d _adaptive_avg_pool3d _batch_norm_no_update _batch_norm_with_update
    _batch_norm_with_update_functional _cdist _cdist_forward _cholesky_solve_helper
    _compute_linear_combination _conj_physical _conv_depthwise2d _convolution _euclidean_dist _fft_c2c
    _fft_c2r _fft_r2c _linalg_det _linalg_slogdet _linalg_solve_ex _log_softmax _logcumsumexp _masked_scale
    _masked_softmax _native_batch_norm_legit _native_batch_norm_legit_functional
    _native_batch_norm_legit_no_training _pdist _pdist_forward _safe_softmax _sample_dirichlet
    _scaled_dot_product_efficient_attention _scaled_dot_product_flash_attention
    _scaled_dot_product_flash_attention_for_cpu _scaled_dot_product_fused_attention_overrideable _slow_conv2d
    _slow_conv2d_forward _softmax _standard_gamma _thnn_fused_gru_cell _thnn_fused_lstm_cell _trilinear
    _upsample_bicubic2d_aa _upsample_bilinear2d_aa _upsample_nearest_exact1d _upsample_nearest_exact2d
    _upsample_nearest_exact3d _weight_norm_interface acos acosh add addbmm addcdiv addcmul addmm addmv addr
    affine_grid_generator asin asinh atan atan2 atanh avg_pool2d avg_pool3d baddbmm batch_norm
    binary_cross_entropy binary_cross_entropy_with_logits bmm cholesky cholesky_inverse cholesky_solve
    conv_depthwise3d conv_tbc convolution convolution_overrideable cos cosh cudnn_batch_norm cudnn_convolution
    cumprod cumsum deg2rad digamma dist div dot erf erfc erfinv exp exp2 expm1 frac gelu geqrf glu hypot i0
    igamma igammac lerp lgamma linalg__powsum linalg_cholesky_ex linalg_cross linalg_householder_product
    linalg_inv_ex linalg_lu_solve linalg_matrix_exp linalg_qr linalg_solve_triangular linalg_vector_norm
    linear log log10 log1p log2 log_sigmoid log_sigmoid_forward logaddexp logaddexp2 logcumsumexp logit
    logsumexp matmul mean mish mkldnn_convolution mkldnn_linear mkldnn_rnn_layer mm mse_loss mul mv mvlgamma
    nansum native_batch_norm native_dropout native_group_norm native_layer_norm neg nll_loss nll_loss2d
    nll_loss2d_forward nll_loss_forward ormqr polygamma pow prod rad2deg reciprocal rsqrt rsub sigmoid silu
    sin sinc sinh slow_conv3d slow_conv3d_forward slow_conv_dilated2d slow_conv_dilated3d
    slow_conv_transpose2d slow_conv_transpose3d soft_margin_loss softmax softplus special_airy_ai
    special_bessel_j0 special_bessel_j1 special_bessel_y0 special_bessel_y1 special_entr special_erfcx
    special_i0e special_i1 special_i1e special_log_ndtr special_modified_bessel_i0 special_modified_bessel_i1
    special_modified_bessel_k0 special_modified_bessel_k1 special_ndtri special_scaled_modified_bessel_k0
    special_scaled_modified_bessel_k1 special_spherical_bessel_j0 special_xlog1py special_zeta sqrt std
    std_mean sub sum tan tanh trace triangular_solve upsample_bicubic2d upsample_bilinear2d upsample_linear1d
    upsample_nearest1d upsample_nearest2d upsample_nearest3d upsample_trilinear3d var var_mean vdot xlogy
"""
"""Operators that are analytic wherever inputs at random are."""

FLAT_PIECES = """
    _prelu_kernel angle ceil clamp clamp_max clamp_min copysign floor floor_divide fmax fmin fmod hardshrink
    hardsigmoid hardswish hardtanh heaviside maximum minimum multi_margin_loss multilabel_margin_loss
    multilabel_margin_loss_forward nan_to_num relu remainder round sgn sign softshrink threshold trunc
"""
"""Operators that have pieces of zero slope."""

BENT = """
    abs celu elu huber_loss leaky_relu rrelu_with_noise smooth_l1_loss
"""
"""Operators of several pieces, none of which is flat unless a number that they are given is zero."""

VALUELESS = """
    _assert_async _assert_scalar _assert_tensor_metadata _linalg_check_errors empty_like full_like
    is_same_size new_empty new_empty_strided new_full new_ones new_zeros ones_like rand_like randint_like
    randn_like zeros_like
"""
"""Operators whose results depend on shapes alone, and checks."""

READING = """
    __array__ __dlpack__ data_ptr numpy storage tolist untyped_storage
"""
"""Methods that give values to what torch does not see."""

DECIDED_BY = {
    "where": 0,
    "grid_sampler_2d": 1,
    "grid_sampler_3d": 1,
    "_grid_sampler_2d_cpu_fallback": 1,
}
"""Operators that choose by one of their operands, by its position: they choose by values if that was made of inputs."""

UNUSUAL_NORMS = {"linalg_vector_norm": 1, "_cdist": 2, "_cdist_forward": 2, "_pdist": 1, "_pdist_forward": 1, "dist": 2}
"""Norms, by the position of their order: of order zero or infinity, they choose."""


@cache
def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def choices(f: Callable[[Sequence[Any]], Sequence[Any]], xs: Sequence[Any]) -> tuple[str, ...]:
    """Evaluate `f` once, recorded, and name what chooses by values, each once and in order."""
    looking = _modes()
    trail = _Trail()
    ys: Sequence[Any] = ()
    with recording(), draws_put_back():
        leaves = [variable(x) for x in xs]
        inputs = [not_leaf(x) for x in leaves]
        trail.depend([x for x in inputs if x.requires_grad])
        try:
            with warnings.catch_warnings(), looking(trail):
                warnings.simplefilter("ignore")  # it warned before
                ys = as_tensors(f(inputs))
        except Exception:  # it ran before: what it is made of cannot be looked through
            trail.found[OPAQUE] = None
    generated = set(generated_operators(ys))
    rules = [name for name, _ in custom_nodes(ys) if name not in generated]
    return tuple(dict.fromkeys([*trail.found, *(f"{OPAQUE}: {name}" for name in rules)]))


class _Trail:
    """Which memory was made of the inputs, and what has been found.

    Attributes:
        found: names, in order.
        calling: what Python called last.
    """

    def __init__(self) -> None:
        self.found: dict[str, None] = {}
        self.calling = ""
        self._memory: dict[int, Any] = {}  # kept alive: addresses are not given out again

    def depend(self, tensors: Sequence[Any]) -> None:
        for tensor in tensors:
            storage = tensor.untyped_storage()
            self._memory[storage._cdata] = storage

    def depends(self, value: Any) -> bool:
        import torch

        return isinstance(value, torch.Tensor) and value.untyped_storage()._cdata in self._memory

    def step(self, operator: Any, args: Sequence[Any], kwargs: dict[str, Any], results: Sequence[Any]) -> None:
        """Look at one operator that was run."""
        from torch.utils._pytree import tree_leaves

        name = operator._schema.name.partition("::")[2]
        name = name.removesuffix("_") if operator._schema.is_mutable else name
        made = [a for a in tree_leaves((args, kwargs)) if self.depends(a)]
        if not made or (name in _words(VALUELESS) and operator.namespace == "aten"):
            return
        discrete = bool(results) and not any(_is_real(r) for r in results)
        free = False
        if operator.namespace not in ("aten", "prims"):
            self.found[f"{OPAQUE}: {operator._schema.name}"] = None
        elif discrete and not any(_is_real(a) for a in made):
            pass  # what made integers of real numbers was found before
        elif shown := self._shown(name, operator, args, kwargs, discrete):
            self.found[shown.strip("_")] = None
        else:
            free = True
        real = [r for r in results if _is_real(r)]
        self.depend(real if free else results)
        if operator._schema.is_mutable:
            written = [a for a, s in zip(args, operator._schema.arguments, strict=False) if s.is_write]
            self.depend([a for a in tree_leaves(written) if hasattr(a, "untyped_storage")])

    def _shown(self, name: str, operator: Any, args: Sequence[Any], kwargs: dict[str, Any], discrete: bool) -> str:
        """Return what an operator is called if it chooses, else nothing."""
        if name == "_local_scalar_dense":
            return self.calling.strip("_")
        base = name.removesuffix("_data").removesuffix("_backward")
        if base in ("_to_copy", "copy") and discrete:
            return "cast to integers"
        if operator._overloadname == "dtype" or discrete:
            return name
        if base in DECIDED_BY:
            return name if any(self.depends(a) for a in args[DECIDED_BY[base] :][:1]) else ""
        if base in UNUSUAL_NORMS:
            order = args[UNUSUAL_NORMS[base]] if len(args) > UNUSUAL_NORMS[base] else kwargs.get("ord", 2)
            return name if order in (0, float("inf"), -float("inf")) else ""
        if base in _words(FLAT_PIECES) or kwargs.get("rounding_mode") or (base == "logit" and len(args) > 1):
            return base + FLAT
        if base in ("scatter_reduce", "index_reduce"):
            return "" if args[4] in ("sum", "mean", "prod") else name
        if base in _words(BENT):
            return base + FLAT if any(type(a) in (int, float) and a == 0 for a in args[1:]) else ""
        return "" if base in _words(ARRANGING) or base in _words(ANALYTIC) else name


def _is_real(tensor: Any) -> bool:
    """Tell whether it holds real or complex numbers."""
    return bool(tensor.is_floating_point() or tensor.is_complex())


@cache
def _modes() -> Any:
    import torch
    from torch._ops import HigherOrderOperator
    from torch.overrides import TorchFunctionMode
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    class Called(TorchFunctionMode):  # type: ignore[misc]
        """What Python calls."""

        def __init__(self, trail: _Trail) -> None:
            super().__init__()
            self.trail = trail

        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            del types
            name = getattr(func, "__name__", "")
            self.trail.calling = name
            if isinstance(func, HigherOrderOperator):
                self.trail.found[name] = None
            elif name in _words(READING) and any(self.trail.depends(a) for a in args):
                self.trail.found[name.strip("_")] = None
            return func(*args, **(kwargs or {}))

    class Dispatched(TorchDispatchMode):  # type: ignore[misc]
        """What torch dispatches."""

        @classmethod
        def _should_skip_dynamo(cls) -> bool:
            """Spare the import of the compiler, which takes a second."""
            return False

        def __init__(self, trail: _Trail) -> None:
            super().__init__()
            self.trail = trail
            self.called = Called(trail)

        def __enter__(self) -> Any:
            self.called.__enter__()
            return super().__enter__()

        def __exit__(self, *raised: Any) -> None:
            super().__exit__(*raised)
            self.called.__exit__(*raised)

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            del types
            result = func(*args, **(kwargs or {}))
            results = [r for r in tree_leaves(result) if isinstance(r, torch.Tensor)]
            self.trail.step(func, args, kwargs or {}, results)
            return result

    return Dispatched
