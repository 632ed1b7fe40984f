"""Reward scorers, usable without the harness: this package imports nothing of it.

No scorer has been written yet.
"""
