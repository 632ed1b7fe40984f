"""Scorers of science and knowledge questions."""
