"""What all sections of the settings are built from."""

from typing import Annotated

import msgspec

Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
Positive = Annotated[int, msgspec.Meta(ge=1)]
Connections = Annotated[int, msgspec.Meta(ge=1, le=5000)]  # SMTP-06 [D]


class ConfigError(Exception):
    """The operator's mistake: what is wrong and where, one line each."""


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One table of the settings file."""
