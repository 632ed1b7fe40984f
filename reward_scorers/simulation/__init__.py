"""Scorers of predicted inputs and outputs of programs."""
