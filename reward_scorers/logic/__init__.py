"""Scorers of puzzles: grids, zebra puzzles, orders, graphs."""
