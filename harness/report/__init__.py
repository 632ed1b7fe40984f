"""The report folder of a run: page, figures, tables and machine-readable summaries."""
