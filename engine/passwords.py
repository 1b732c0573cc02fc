"""Passwords: kept as argon2id hashes only, and looked at in the same time whether or not there is one."""

import threading
from typing import Final

import argon2

PASSWORD_MIN_LEN: Final = 12  # ACC-05
PASSWORD_MAX_LEN: Final = 1024  # the hash would take any length; no person needs more


class Passwords:
    """Safe from any thread."""

    def __init__(self, hasher: argon2.PasswordHasher | None = None) -> None:
        """hasher: by default argon2id with the parameters of RFC 9106 s4 for little memory."""
        self._hasher = hasher or argon2.PasswordHasher()
        self._one_at_a_time = threading.Lock()  # bounds memory: 64 MiB a hash
        self._decoy = ""

    def hash(self, password: str) -> str:
        with self._one_at_a_time:
            return self._hasher.hash(password)

    def matches(self, hashed: str, password: str) -> bool:
        """hashed: empty when there is no such account, or none that a password opens. One hash is made in any case."""
        with self._one_at_a_time:
            # At the first question, whatever it is about: most processes are never asked.
            self._decoy = self._decoy or self._hasher.hash("the time this takes must not tell which users exist")
            try:
                return self._hasher.verify(hashed or self._decoy, password[: PASSWORD_MAX_LEN + 1]) and bool(hashed)
            except argon2.exceptions.VerifyMismatchError:
                return False

    def is_old(self, hashed: str) -> bool:
        """Whether it was made with parameters that are not used any more."""
        return self._hasher.check_needs_rehash(hashed)
