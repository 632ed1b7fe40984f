"""Pinned data sets: files whose bytes a lock knows, and whose content keeps its declaration."""
