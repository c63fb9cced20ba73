"""The parts of a cross-check: runs of implementations, what is held against each other, and the matrix of it."""
