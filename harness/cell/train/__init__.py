"""The engines: each turns a cell's settings into a curve of metrics."""

from harness.cell.engines import Engine, engine, engine_names, engine_version, find_engine

__all__ = ["Engine", "engine", "engine_names", "engine_version", "find_engine"]
