"""Ways to start a sandbox, by name; see `backend.Backend`."""
