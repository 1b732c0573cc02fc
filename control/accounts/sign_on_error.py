"""What ends a sign-on at an identity provider: known without what it takes to ask one."""

from typing import Final

REASON_LEN: Final = 200  # characters


class SignOnError(Exception):
    """Why nobody is signed on, in words with the next step."""
