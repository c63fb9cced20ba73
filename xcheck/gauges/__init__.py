"""Outputs that are defined up to a sign, a phase or an order, what does not depend on it, and how to tell."""
