"""Reproduce published scaling laws of RL post-training, and judge the result with statistics."""

__version__ = "0.1.0"
