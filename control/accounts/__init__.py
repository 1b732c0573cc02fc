"""Accounts and how they are entered: passwords, second factors, tokens, sign-on elsewhere (ACC-01..11, GAP-43)."""

import math
import time
from pathlib import Path

from control.access import AccessDatabase
from control.accounts.directory import ADMIN, BUILT_IN, REPORT, Account, AccountError, Accounts, Overtaken
from control.accounts.entry import Attempt, Entry, Result
from control.accounts.second_factor import SecondFactors
from control.sessions import Sessions
from engine.passwords import Passwords

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


def set_password(root: Path, user: str, password: str, no_second_factor: bool = False) -> None:
    """For the command line: `mailward init` sets the first password of admin. Raises AccountError.

    no_second_factor: take it off, if there is one.
    """
    database = AccessDatabase(root)
    try:
        sessions = Sessions(database, time.time, lambda: math.inf)
        known = Accounts(database, Passwords(), sessions)
        known.set_password(user, password)
        account = known.find(user)
        if no_second_factor and account is not None and account.second_factor:
            SecondFactors(database, time.time).remove(user)
    finally:
        database.close()
