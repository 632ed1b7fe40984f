"""Scorers of answers read off tables."""
