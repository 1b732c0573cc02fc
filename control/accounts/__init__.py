"""Accounts and how they are entered: passwords, second factors, tokens, sign-on elsewhere (ACC-01..11, GAP-43)."""

import math
import time
from pathlib import Path

from control.access import AccessDatabase
from control.accounts.directory import ADMIN, BUILT_IN, REPORT, Account, AccountError, Accounts, Overtaken
from control.accounts.entry import Attempt, Entry, Result
from control.accounts.passwords import Passwords
from control.sessions import Sessions

__all__ = [
    "ADMIN",
    "BUILT_IN",
    "REPORT",
    "Account",
    "AccountError",
    "Accounts",
    "Attempt",
    "Entry",
    "Overtaken",
    "Passwords",
    "Result",
    "set_password",
]


def set_password(root: Path, user: str, password: str) -> None:
    """For the command line: `mailward init` sets the first password of admin. Raises AccountError."""
    database = AccessDatabase(root)
    try:
        sessions = Sessions(database, time.time, lambda: math.inf)
        Accounts(database, Passwords(), sessions).set_password(user, password)
    finally:
        database.close()
