"""CERT-02: whether the common name resolves is said when the request is made."""

from control.certificates.lookup import remark
from tests.dns_server import scripted


def test_a_name_is_looked_up() -> None:
    with scripted({("gate.example.com", "A"): ["192.0.2.1"], ("six.example.com", "AAAA"): ["2001:db8::1"]}) as names:
        servers = [names.address]
        assert remark("gate.example.com", servers) == ""
        assert remark("six.example.com", servers) == ""
        assert remark("192.0.2.1", servers) == ""
        assert remark("*.example.com", servers) == ""
        assert remark("no.example.com", servers).startswith("no.example.com is not in DNS")
        names.broken.add("bad.example.com")
        assert remark("bad.example.com", servers).startswith("Whether bad.example.com is in DNS could not be told")
