"""Keras layers as functions of their parameters, for whichever framework Keras runs on.

Keras keeps state in variables: weights, statistics, seeds. `keras.StatelessScope` gives them other values for the
length of a call and throws their updates away.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any


def bind_layer(f: object, framework: str) -> tuple[Callable[..., Any], dict[str, Any]] | None:
    """Split a built layer or model into `function(parameters, *args, **kwargs)` and its trainable values by path.

    Where the given parameters are float64 and the layer's are not, all its layers compute in float64 for the length
    of the call; Keras would cast them and the inputs to the layers' own dtype otherwise.

    Returns:
        None if `f` is no Keras layer, or Keras runs on another framework.

    Raises:
        ValueError: the layer has not been built, and so has no variables yet.
    """
    keras = sys.modules.get("keras")
    layer: Any = f
    if keras is None or not isinstance(f, keras.layers.Layer) or keras.config.backend() != framework:
        return None
    if not layer.built:
        raise ValueError(f"the Keras layer {layer.name!r} has no variables yet; call it on an input once, or build it")
    trainable = _by_path(layer.trainable_variables)

    def function(parameters: dict[str, Any], /, *args: Any, **kwargs: Any) -> Any:
        wide = any(_dtype(p) == "float64" != _dtype(trainable[name]) for name, p in parameters.items())
        wide = wide and framework != "torch"  # where Keras multiplies matrices in float32 whatever it is given
        values = [(v, _widened(v) if wide else v.value) for v in layer.variables]
        values += [(trainable[name], p) for name, p in parameters.items()]
        with _in_float64(layer) if wide else nullcontext(), keras.StatelessScope() as scope:
            for update in values:
                scope.add_update(update)  # the scope's own argument would cast to the variable's dtype
            return layer(*args, **kwargs)

    return function, {name: keras.ops.copy(v.value) for name, v in trainable.items()}


@contextmanager
def global_seed_generator(seed: int) -> Iterator[list[Any]]:
    """Provide the state of the generator behind `keras.random` without a seed; nothing if Keras is not imported."""
    if "keras" not in sys.modules:
        yield []
        return
    import keras
    from keras.src.backend.common import global_state  # Keras has no public name for it

    name = "global_seed_generator"
    before = global_state.get_global_attribute(name)
    generator = before or keras.random.SeedGenerator(seed)
    global_state.set_global_attribute(name, generator)
    try:
        yield [generator.state]
    finally:
        global_state.set_global_attribute(name, before)


def _by_path(variables: Sequence[Any]) -> dict[str, Any]:
    named: dict[str, Any] = {}
    for variable in variables:
        name, count = variable.path, 1
        while name in named:
            count += 1
            name = f"{variable.path}#{count}"
        named[name] = variable
    return named


def _dtype(array: Any) -> str:
    import keras

    return str(keras.backend.standardize_dtype(array.dtype))


def _widened(variable: Any) -> Any:
    import keras

    return keras.ops.cast(variable.value, "float64") if "float" in _dtype(variable) else variable.value


@contextmanager
def _in_float64(layer: Any) -> Iterator[None]:
    """Let a layer and all inside it compute in float64, and put their dtypes back."""
    layers = [x for x in layer._flatten_layers() if x.dtype_policy.quantization_mode is None]
    graphs = [g for x in layers for g in (x, getattr(x, "_functional", None)) if g is not None]
    inputs = [t for g in graphs for t in getattr(g, "_inputs", None) or []]
    candidates = (*layer.variables, *inputs, *layers)  # an InputLayer has a dtype of its own beside its policy
    typed = [x for x in candidates if "float" in str(getattr(x, "_dtype", ""))]
    policies, dtypes = [x.dtype_policy for x in layers], [x._dtype for x in typed]
    try:
        for x in layers:
            x.dtype_policy = "float64"
        for x in typed:
            x._dtype = "float64"
        yield
    finally:
        for x, policy in zip(layers, policies, strict=True):
            x.dtype_policy = policy
        for x, dtype in zip(typed, dtypes, strict=True):
            x._dtype = dtype
