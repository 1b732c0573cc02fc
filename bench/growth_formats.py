"""Containers of every format, walked as files, with shapes that are as hostile as we know.

Material is that of the tests, and fields of headers are set by hand.
"""

from typing import Final

from bench import growth_archives, growth_disks, growth_documents, growth_locked, growth_packages, growth_pdf
from bench.growth_shapes import Parser

PARSERS: Final[dict[str, Parser]] = (
    growth_archives.PARSERS
    | growth_packages.PARSERS
    | growth_disks.PARSERS
    | growth_documents.PARSERS
    | growth_pdf.PARSERS
    | growth_locked.PARSERS
)
