"""What a suite says: its file, its grid of cells, their identities, and its lock."""
