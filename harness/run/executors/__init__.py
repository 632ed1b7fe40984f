"""The executors: where the cells of a run are worked on."""

from harness.run.executors.local import LocalExecutor

__all__ = ["LocalExecutor"]
