"""Certificates that an authority issues and renews by itself."""

from engine.config.base import Section


class Acme(Section, frozen=True):
    """RFC 8555 (CERT-05). names: empty for those that the gateway is known by. authorities: PEM file, empty for those
    that the machine trusts: who vouches for the ACME server itself.
    """

    enabled: bool = False
    directory: str = "https://acme-v02.api.letsencrypt.org/directory"
    email: str = ""
    names: tuple[str, ...] = ()
    terms_agreed: bool = False
    authorities: str = ""
