"""What all sections of the settings are built from."""

from collections.abc import Sequence
from typing import Annotated

import msgspec

Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
Positive = Annotated[int, msgspec.Meta(ge=1)]
Connections = Annotated[int, msgspec.Meta(ge=1, le=5000)]  # SMTP-06 [D]

Path = tuple[str | int, ...]  # of a setting: ("relay", "hosts", 0)


def path_text(path: Path) -> str:
    """As people write it: `relay.hosts[0]`."""
    words = ""
    for step in path:
        words += f"[{step}]" if isinstance(step, int) else f".{step}" if words else step
    return words


class Problem(msgspec.Struct, frozen=True):
    """One mistake of the operator's. text: what is wrong and what to write instead. line: 0 if it cannot be told."""

    path: Path
    text: str
    line: int = 0

    @property
    def setting(self) -> str:
        return path_text(self.path)

    def __str__(self) -> str:
        return f"{self.setting} {self.text}".strip()

    def at(self, place: str) -> str:
        """With its place as editors and compilers write it: `mailward.toml:12: smtp.hostname ...`."""
        return f"{place}:{self.line}: {self}" if self.line else f"{place}: {self}"


class ConfigError(Exception):
    """The operator's mistakes: what is wrong and where, one line each; `problems` has them one by one."""

    def __init__(self, place: str, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(one.at(place) for one in problems))
        self.place = place
        self.problems = tuple(problems)


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One table of the settings file."""
