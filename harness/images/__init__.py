"""Images of cells and of the code scorer: what is in them, how they are built, moved and pinned."""

from harness.images.recipes import image_names
from harness.images.resolving import ImageRef, resolve

__all__ = ["ImageRef", "image_names", "resolve"]
