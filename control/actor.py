"""Who does something, and what it may do: one check for pages and API alike (ACC-01, ACC-02)."""

from enum import StrEnum
from typing import Final

import msgspec


class Scope(StrEnum):
    """What an account may do is a set of these; each page and each operation asks for one."""

    STATUS = "status:read"
    REPORTS = "reports:read"
    REPORTS_WRITE = "reports:write"  # saved filters and schedules
    QUEUES = "queues:read"
    QUEUES_WRITE = "queues:write"
    MESSAGES = "messages:read"  # tracking: who wrote to whom, and what became of it
    CONTENT = "messages:content"  # headers and parts of queued mail
    SETTINGS = "settings:read"
    SETTINGS_WRITE = "settings:write"
    DEFINITIONS = "definitions:read"
    DEFINITIONS_WRITE = "definitions:write"
    QUARANTINE = "quarantine:read"  # which infected files are put aside, and whose mail they came with
    QUARANTINE_WRITE = "quarantine:write"  # releasing, taking out and deleting them
    CERTIFICATES = "certificates:read"
    CERTIFICATES_WRITE = "certificates:write"
    ACCOUNTS = "accounts:read"
    ACCOUNTS_WRITE = "accounts:write"
    DIAGNOSTICS = "diagnostics:read"
    DIAGNOSTICS_WRITE = "diagnostics:write"
    OWN = "own:write"  # the own password, second factor, sessions and tokens: every account has it


class Role(StrEnum):
    ADMINISTRATOR = "administrator"
    REPORT_ONLY = "report-only"


ROLE_SCOPES: Final[dict[Role, frozenset[Scope]]] = {
    Role.ADMINISTRATOR: frozenset(Scope),
    Role.REPORT_ONLY: frozenset({Scope.REPORTS, Scope.OWN}),
}


class Actor(msgspec.Struct, frozen=True):
    """client: its address. session: whether a browser's session stands for it, and not a token; key: of that session.

    expires: when the token ends, seconds since 1970; 0 for a session.
    """

    user: str
    role: Role
    scopes: frozenset[Scope]
    client: str
    session: bool = True
    key: str = ""
    expires: float = 0.0

    def may(self, scope: Scope) -> bool:
        return scope in self.scopes
