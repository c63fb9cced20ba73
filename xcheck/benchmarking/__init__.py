"""Strategies against each other: verified first, then timed in turns, and what to call."""
