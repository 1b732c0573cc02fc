"""Accounts and how they are entered: passwords, second factors, tokens, sign-on elsewhere (ACC-01..11, GAP-43)."""

from pathlib import Path

from control.access import AccessDatabase
from control.accounts.directory import ADMIN, BUILT_IN, REPORT, Account, AccountError, Accounts
from control.accounts.entry import Attempt, Entry, Result
from control.accounts.passwords import Passwords

__all__ = [
    "ADMIN",
    "BUILT_IN",
    "REPORT",
    "Account",
    "AccountError",
    "Accounts",
    "Attempt",
    "Entry",
    "Passwords",
    "Result",
    "set_password",
]


def set_password(root: Path, user: str, password: str) -> None:
    """For the command line: `mailward init` sets the first password of admin. Raises AccountError."""
    database = AccessDatabase(root)
    try:
        Accounts(database, Passwords()).set_password(user, password)
    finally:
        database.close()
