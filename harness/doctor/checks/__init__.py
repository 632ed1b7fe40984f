"""One module a topic; each registers its check."""
