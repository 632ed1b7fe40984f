"""What runs inside a container: `python -m harness.cell SPEC OUT`."""
