"""Logging on to the pages at an identity provider."""

from engine.config.base import Section


class Oidc(Section, frozen=True):
    """OpenID Connect (ACC-11). client_secret_file, authorities: below the root directory, or absolute.

    Who has one of the values of administrators in role_claim is one; else of report_only; anybody else stays out.
    """

    enabled: bool = False
    issuer: str = ""
    client_id: str = ""
    client_secret_file: str = ""  # empty: a public client, which PKCE alone protects
    label: str = ""  # of the button; empty: the host of the issuer
    scopes: tuple[str, ...] = ("profile", "email")
    user_claim: str = "preferred_username"
    role_claim: str = "groups"
    administrators: tuple[str, ...] = ()
    report_only: tuple[str, ...] = ()
    authorities: str = ""  # PEM file; empty: those that the machine trusts
