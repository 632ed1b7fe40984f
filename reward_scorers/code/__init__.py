"""Scorer `code`: programs are run in the sandbox against the tests of a row."""
