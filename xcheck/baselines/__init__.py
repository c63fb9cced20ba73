"""Checks saved to a file, and held against it elsewhere."""
