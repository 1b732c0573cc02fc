"""The Host field and form tokens of the pages: any octets are answered, and no other site's name is taken for ours."""

import ipaddress

from control.guard import host_name, is_known
from control.sessions import form_token, is_form_token
from engine.config import Settings, Smtp

OURS = Settings(smtp=Smtp(hostname="gw.example.com"))


def one_input(data: bytes) -> None:
    field = data.decode("latin-1")  # as HTTP servers hand fields on
    host = host_name(field)
    if is_known(host, OURS) and "." in host and host != "gw.example.com":
        ipaddress.ip_address(host)
    assert not is_form_token("session", field) or field == form_token("session")
