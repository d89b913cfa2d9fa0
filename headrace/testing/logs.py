"""Logging as it was, for tests that let this process log as one of the line's does."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def kept_logging() -> Iterator[logging.Logger]:
    """Yield the root logger, and leave it as it was: handlers that came within the block are closed."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    try:
        yield root
    finally:
        logging.captureWarnings(capture=False)
        for handler in [one for one in root.handlers if one not in before]:
            handler.close()
        root.handlers[:] = before
        root.setLevel(level)
