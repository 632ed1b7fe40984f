"""A law fitted to a table of one's own: no suite, no cells, the same estimator."""
