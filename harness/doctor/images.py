"""What is known of an image before an engine is asked: how it is named, and how large it is."""

from __future__ import annotations

from typing import Final

from harness.errors import HarnessError
from harness.run.containers.container import find_image

# Rounded up from images as they were built: what they take unpacked, where no lock says it.
_USUAL_BYTES: Final = {"base": 3e8, "sandbox": 6e8, "cpu-packages": 3e9, "cpu": 3e9}
_LARGE_BYTES: Final = 25e9


def image_reference(name: str) -> str | None:
    """What engines know the image by: its id or NAME@sha256:...; None where it was never built."""
    try:
        return find_image(name).reference
    except (HarnessError, ImportError, OSError):  # a checkout may lack what images are made of
        return None


def image_bytes(name: str) -> float:
    """What it takes on the disk, by its lock or about."""
    try:
        from harness.images.lock import load_lock
        from harness.images.recipes import lock_path

        pin = load_lock(lock_path()).get(name)
    except (HarnessError, ImportError, OSError):
        pin = None
    if pin is not None and pin.bytes:
        return float(pin.bytes)
    return _USUAL_BYTES.get(name, _LARGE_BYTES)
