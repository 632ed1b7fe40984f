"""Engines that measure without training: stored answers scored again."""
