"""Accounts with a clock to move and hashes that cost nothing."""

from pathlib import Path
from typing import Final, Literal

import argon2

from control.access import AccessDatabase
from control.accounts import Account, Accounts, Attempt, Entry, Passwords, Result, totp
from control.accounts.directory import sign_on
from control.accounts.second_factor import SecondFactors
from control.accounts.tokens import Tokens
from control.actor import Role
from control.sessions import Sessions

PASSWORD: Final = "correct horse battery"
ISSUER: Final = "https://id.example.org"
HERE, THERE = "192.0.2.1", "198.51.100.1"


def cheap() -> argon2.PasswordHasher:
    """What is tested is not the hash."""
    return argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


class CountingHasher(argon2.PasswordHasher):
    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.looked_at = 0

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:
        self.looked_at += 1
        return super().verify(hash, password)


class Clock:
    def __init__(self) -> None:
        self.now = 1_790_000_000.0

    def __call__(self) -> float:
        return self.now


class Office:
    def __init__(self, root: Path) -> None:
        self.clock = Clock()
        self.database = AccessDatabase(root)
        self.hasher = CountingHasher()
        passwords = Passwords(self.hasher)
        self.sessions = Sessions(self.database, self.clock, lambda: 300.0)
        self.accounts = Accounts(self.database, passwords, self.sessions)
        self.entry = Entry(self.database, self.clock, passwords)
        self.second_factors = SecondFactors(self.database, self.clock)
        self.tokens = Tokens(self.database, self.clock)
        self.accounts.set_password("admin", PASSWORD)

    def try_(self, password: str, client: str = HERE, user: str = "admin") -> Result:
        return self.log_on(user, password, client).result

    def log_on(self, user: str, password: str, client: str) -> Attempt:
        return self.entry.by_password(user, password, client)

    def fail(self, times: int, client: str = HERE) -> None:
        """Wrong passwords, each after the wait that is asked for."""
        for _ in range(times):
            self.clock.now += 400
            assert self.try_("wrong", client) is Result.WRONG

    def with_second_factor(self, user: str = "admin") -> tuple[bytes, tuple[str, ...]]:
        """Its secret and its recovery codes."""
        secret = self.second_factors.begin(user)
        codes = self.second_factors.confirm(user, self.code(secret))
        self.clock.now += totp.STEP_S  # the code of this step is used
        return secret, codes

    def code(self, secret: bytes) -> str:
        return totp.code(secret, int(self.clock.now) // totp.STEP_S)

    def make(self, user: str, role: Role = Role.ADMINISTRATOR) -> None:
        self.accounts.make(user, role, self.password_of(user))

    def password_of(self, user: str) -> str:
        return f"the password of {user}"

    def sign_on(self, user: str, role: Role = Role.ADMINISTRATOR, subject: str = "") -> tuple[str, str]:
        return sign_on(self.database, ISSUER, subject or user, user, role, "", "", self.clock.now)

    def account(self, user: str) -> Account:
        found = self.accounts.find(user)
        assert found is not None
        return found

    def enable(self, user: str, enabled: bool) -> None:
        self.accounts.change(self.account(user), enabled=enabled)
