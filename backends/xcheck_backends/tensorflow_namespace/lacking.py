"""What is said of a name that neither the shim nor TensorFlow has."""

from __future__ import annotations

from difflib import get_close_matches

import tensorflow as tf


def lacking(path: str) -> AttributeError:
    """Return the error for a name of the standard, such as `fft.hfft`, with TensorFlow's nearest by spelling."""
    name = path.rpartition(".")[2]
    names = {n: f"tf.{n}" for n in dir(tf) if not n.startswith("_")}
    for module, prefix in ((tf.linalg, "linalg"), (tf.signal, "signal"), (tf.math, "math")):
        names |= {n: f"tf.{prefix}.{n}" for n in dir(module) if not n.startswith("_")}
    begun = [n for n in names if name.partition("_")[0] == n]
    found = next(iter([*get_close_matches(name, names, 1, 0.5), *begun]), None)
    nearest = f"; TensorFlow's nearest by name is {names[found]}" if found else ""
    return AttributeError(f"the TensorFlow namespace has no {path!r}{nearest}")
