"""What may be installed: it belongs to the key, is valid now, is for servers; and what is only remarked on."""

import datetime

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from control.certificates.chain import SKEW, WARN_DAYS, checked, covers
from control.certificates.material import Unfit
from tests.control.certificates.authority import CLIENTS, Authority, new_key, now, root

KEY = new_key()
ROOT = root()
MIDDLE = ROOT.authority("Intermediate 1")
INNER = MIDDLE.authority("Intermediate 2")
NAMES = ("gate.example.com",)


def leaf(by: Authority = INNER, *names: str, **how: float) -> x509.Certificate:
    return by.issue(KEY.public_key(), *(names or NAMES), **how)  # type: ignore[arg-type]


def refusal(*certificates: x509.Certificate) -> str:
    with pytest.raises(Unfit) as caught:
        checked(KEY, certificates, NAMES, now())
    ((place, text),) = caught.value.problems
    assert place == "certificate"
    return text


def remarks(*certificates: x509.Certificate) -> str:
    return "\n".join(checked(KEY, certificates, NAMES, now()).remarks)


@given(st.permutations(range(4)))
def test_the_chain_is_put_in_order(order: list[int]) -> None:
    """CERT-06: chain accepted, however it was pasted."""
    whole = [CHAIN[index] for index in order]
    found = checked(KEY, whole, NAMES, now())
    assert list(found.chain) == CHAIN
    assert not found.remarks


CHAIN = [leaf(), INNER.certificate, MIDDLE.certificate, ROOT.certificate]


def test_what_is_no_part_of_the_chain_is_left_out_and_said() -> None:
    other = root("Somebody else")
    found = checked(KEY, [*CHAIN, other.certificate, *CHAIN], NAMES, now())
    assert list(found.chain) == CHAIN
    assert found.remarks == ("The certificate of Somebody else was left out: it is no part of the chain.",)


def test_an_issuer_in_name_only_is_no_part_of_the_chain() -> None:
    false = root("Intermediate 2")
    found = checked(KEY, [CHAIN[0], false.certificate], NAMES, now())
    assert found.chain == (CHAIN[0],)
    assert "Intermediate 2 was left out" in "\n".join(found.remarks)


def test_an_incomplete_chain_is_remarked_on() -> None:
    """CERT-06"""
    words = remarks(CHAIN[0], INNER.certificate)
    assert "The chain ends with Intermediate 2" in words
    assert "Intermediate 1" in words
    assert "install them along" in words


def test_another_key_is_refused() -> None:
    """CERT-06"""
    assert "does not belong to the private key" in refusal(INNER.issue(new_key().public_key(), *NAMES))


def test_expired_and_not_yet_valid_are_refused() -> None:
    """CERT-06"""
    assert "expired on" in refusal(leaf(days=-0.001))
    assert "is not valid before" in refusal(leaf(begins=0.01))
    assert checked(KEY, [leaf(days=0.01, begins=-0.001)], NAMES, now())
    late = leaf(begins=0)
    assert checked(KEY, [late], NAMES, late.not_valid_before_utc - SKEW)
    with pytest.raises(Unfit):
        checked(KEY, [late], NAMES, late.not_valid_before_utc - SKEW - datetime.timedelta(seconds=1))


def test_of_several_for_the_key_the_one_that_lasts_is_taken() -> None:
    old, new = leaf(days=-1, begins=-3), leaf()
    assert checked(KEY, [old, new], NAMES, now()).chain[0] == new


def test_one_for_clients_is_refused() -> None:
    assert "not for servers" in refusal(INNER.issue(KEY.public_key(), *NAMES, usage=CLIENTS))
    assert checked(KEY, [INNER.issue(KEY.public_key(), *NAMES, usage=None)], NAMES, now())


def test_other_names_are_remarked_on() -> None:
    assert "It is not for gate.example.com, but for www.example.com" in remarks(leaf(INNER, "www.example.com"))
    assert "no name at all" in remarks(INNER.issue(KEY.public_key()))
    assert "It is not for" not in remarks(leaf(INNER, "*.example.com"))


def test_one_that_expires_soon_is_remarked_on() -> None:
    """CERT-08"""
    assert "expires soon" in remarks(leaf(days=WARN_DAYS - 0.01))
    assert "expires soon" not in remarks(leaf(days=WARN_DAYS + 0.01))


def test_a_link_that_has_expired_is_remarked_on() -> None:
    old = ROOT.authority("Of old", days=-0.5)
    assert "The certificate of Of old in the chain is not valid now" in remarks(leaf(old), old.certificate)


def test_one_signed_by_itself_is_remarked_on() -> None:
    own = root("gate.example.com")
    found = checked(own.key, [own.certificate], (), now())
    assert "signed by itself" in "\n".join(found.remarks)


@pytest.mark.parametrize(
    ("certified", "name", "expected"),
    [
        ("gate.example.com", "GATE.example.com.", True),
        ("*.example.com", "gate.example.com", True),
        ("*.example.com", "a.gate.example.com", False),
        ("*.example.com", "example.com", False),
        ("*", "com", False),
        ("2001:db8::1", "2001:DB8:0::1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "gate", False),
    ],
)
def test_which_names_a_name_covers(certified: str, name: str, expected: bool) -> None:
    """RFC 9525 s6.3"""
    assert covers(certified, name) is expected
