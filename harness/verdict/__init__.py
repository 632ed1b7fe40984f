"""Fits held against golden files; knows nothing of how a number was made."""
