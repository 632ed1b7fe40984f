"""These tests need what cells that train and evaluate need: the extra `train`."""

from importlib.util import find_spec

if find_spec("torch") is None:
    collect_ignore_glob = ["test_*.py"]
