"""An account at an authority of certificates, and what ends a request: known without what ACME takes to be spoken."""

import msgspec


class NotIssued(Exception):
    """Why there is no certificate, in words with the next step."""


class Account(msgspec.Struct, frozen=True):
    """At one authority. key: PEM. uri: empty until it is registered."""

    directory: str
    key: str
    uri: str = ""
