"""Scorers of mathematical answers."""
