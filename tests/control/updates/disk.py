"""A disk without room: files of this process can grow no longer than so."""

import contextlib
import resource
from collections.abc import Iterator


@contextlib.contextmanager
def full_at(length: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (length, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
