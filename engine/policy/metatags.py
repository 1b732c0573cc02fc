"""What metatags stand for is put into texts here, for notifications and replacements alike (META-01..06, NTF-17). Pure.

The values are strangers' words: each goes in once, through `clean`, and is never looked at for further tags. Which tags
there are and where each has a meaning is told by `engine.config.metatags`, which looks at texts when they are saved.
"""

import re
from collections.abc import Mapping
from typing import Final

from engine.config.metatags import NAMES

VALUE_LEN: Final = 1000  # characters of one value (NTF-17)
_TAG: Final = re.compile(r"\{\$(" + "|".join(NAMES) + r")\}")


def fill(text: str, values: Mapping[str, str]) -> str:
    """Text with each tag replaced by its value, cleaned; by nothing if it has none. Other braces stay as they are."""
    return _TAG.sub(lambda match: clean(values.get(match[1], "")), text)


def clean(value: str, limit: int = VALUE_LEN) -> str:
    """A stranger's words for one line of text: no control, line end or direction characters, at most limit of them.

    White space other than blanks becomes a blank; what is not printable is left out.
    """
    value = value[: 4 * limit]  # what is left out below must not make room for megabytes
    if not value.isprintable():
        value = "".join(one if one.isprintable() else " " if one.isspace() else "" for one in value)
    return value if len(value) <= limit else value[: limit - 1] + "…"
