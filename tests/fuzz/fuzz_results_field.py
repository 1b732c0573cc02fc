"""Authentication-Results: an alleged field is read, and what strangers name makes no syntax in ours."""

from typing import Final

import authres

from engine import limits
from engine.policy.evidence import Authentication, Envelope, Signature
from engine.sender.results import authserv_id_of, body, canonical

SEEDS: Final = [
    b' (a (b \\) c) "gw.\\example.com" 1; spf=pass smtp.mailfrom=a@b',
    b"gw.example.com/1 (c); none",
    b'x"; dmarc=pass header.from=y\r\nX: (\\',
    b"@*",
    b"a@b@c.example",
]


def one_input(data: bytes) -> None:
    assert len(authserv_id_of(data)) <= limits.AUTHSERV_ID_LEN
    assert authserv_id_of(b"gw.example.com;" + data) == canonical("gw.example.com")
    text = data.decode("utf-8", "replace")
    signature = Signature(text, text[:40], "fail", text[:80])
    found = Authentication(spf="pass", dkim=(signature,), dmarc="none", dmarc_domain=text, arc="fail")
    field = body("gw.example.com", Envelope(helo=text, reverse_path=text[:60]), found)
    assert field.isprintable()
    ascii_field = field.encode("ascii", "replace").decode()
    read = authres.AuthenticationResultsHeader.parse("Authentication-Results: " + ascii_field)
    assert [one.result for one in read.results] == ["pass", "fail", "none", "fail"]
