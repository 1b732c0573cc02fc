"""Everything that can be asked and done, a module for each subject; importing them declares the operations."""

from control.operations import (
    account,
    accounts,
    assistant,
    certificates,
    definitions,
    diagnostics,
    events,
    history,
    messages,
    policy,
    queue_work,
    queued,
    queues,
    settings,
    status,
)

__all__ = [
    "account",
    "accounts",
    "assistant",
    "certificates",
    "definitions",
    "diagnostics",
    "events",
    "history",
    "messages",
    "policy",
    "queue_work",
    "queued",
    "queues",
    "settings",
    "status",
]
