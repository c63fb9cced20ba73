"""Functions that torch, JAX and TensorFlow have in common, with points to compare them at."""
