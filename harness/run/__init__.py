"""How cells are run and kept: store, claims, backends, executors, scheduler, provenance."""
