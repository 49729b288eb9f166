"""Warnings of imaging libraries -> the log."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

_LOG = logging.getLogger(__name__)
_LOCK = threading.Lock()
_LIBRARIES = {"PIL", "pydicom"}


@contextmanager
def logged_warnings() -> Iterator[None]:
    """Send warnings of Pillow and pydicom to the log, and make an absurd size an error, for a few lines.

    Python's warning state belongs to the process: hold the lock, keep what is inside short, and hand on what
    other threads warned about meanwhile.
    """
    with _LOCK, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield
    for warning in caught:
        if _LIBRARIES.intersection(Path(warning.filename).parts):
            _LOG.info("%s", warning.message)
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
