"""Measurements against peers and limits; `make bench` runs them all."""
