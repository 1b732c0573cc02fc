"""CERT-02, CERT-03, CERT-04: the fields of a request, what is wrong with them, and what the authority gets."""

import string

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from control.certificates.material import Unfit
from control.certificates.request import ADVICE, NAMES, Fields, KeyKind, countries, make, names_in

GOOD = Fields("gate.example.com", "Example Ltd", "Mail", "Exeter", "Devon", "GB", "post@example.com")
OWN = ("gate.example.com", "pages.example.com", "inner", "localhost")


def problems(**changed: object) -> dict[str, str]:
    with pytest.raises(Unfit) as caught:
        make(_with(**changed), OWN)
    return dict(caught.value.problems)


def _with(**changed: object) -> Fields:
    return Fields(**({name: getattr(GOOD, name) for name in Fields.__struct_fields__} | changed))


def alternatives(request: x509.CertificateSigningRequest) -> list[str]:
    names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [str(name.value) for name in names]


def test_all_fields_are_in_the_request() -> None:
    """CERT-02"""
    made = make(GOOD, OWN).request
    assert made.is_signature_valid
    assert (
        made.subject.rfc4514_string()
        == "1.2.840.113549.1.9.1=post@example.com,CN=gate.example.com,OU=Mail,O=Example Ltd,L=Exeter,ST=Devon,C=GB"
    )


def test_alternative_names_are_added_by_themselves() -> None:
    """CERT-02 [D]: those of the gateway that an authority can check, and what was asked for besides."""
    made = make(_with(names=("192.0.2.7", "B\u00fccher.example", "*.example.com", " ", "gate.example.com")), OWN)
    assert alternatives(made.request) == [
        "gate.example.com",
        "192.0.2.7",
        "xn--bcher-kva.example",
        "*.example.com",
        "pages.example.com",
    ]


def test_an_address_as_common_name() -> None:
    """CERT-02"""
    made = make(_with(common_name="2001:DB8::1"), ())
    names = made.request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(name) for name in names.get_values_for_type(x509.IPAddress)] == ["2001:db8::1"]


def test_keys() -> None:
    """CERT-04: made by itself, P-256 unless asked otherwise."""
    assert isinstance(make(GOOD, OWN).key, ec.EllipticCurvePrivateKey)
    key = make(_with(key=KeyKind.RSA), OWN).key
    assert isinstance(key, rsa.RSAPrivateKey)
    assert key.key_size == 3072
    assert make(GOOD, OWN).key.private_numbers() != make(GOOD, OWN).key.private_numbers()


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("common_name", " ", "by which browsers reach"),
        ("common_name", "gate way", "neither a host name"),
        ("common_name", "a." * 31 + "abc", "has 65 characters"),
        ("organization", "", "as it is registered"),
        ("organization", "x" * 65, "room for 64"),
        ("state", "", "repeat the city"),
        ("state", "De\nvon", "in one line"),
        ("locality", "x" * 129, "room for 128"),
        ("unit", "Mail\u202eliaM", "cannot be printed"),
        ("country", "", "choose one"),
        ("country", "XX", "not in the list"),
        ("country", "gb", "not in the list"),
        ("country", "Great Britain", "not in the list"),
        ("email", "post", "not a mail address"),
        ("email", "p\u00f6st@example.com", "beyond ASCII"),
        ("names", ("good.example", "bad name"), "'bad name' is neither"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(field: str, value: object, words: str) -> None:
    """CERT-02: a state may not be empty."""
    found = problems(**{field: value})
    assert list(found) == [field]
    assert words in found[field]


def test_everything_wrong_is_told_at_once() -> None:
    with pytest.raises(Unfit) as caught:
        make(Fields(), ())
    assert [place for place, _ in caught.value.problems] == ["country", "state", "organization", "common_name"]


def test_as_many_names_as_authorities_take() -> None:
    names = tuple(f"h{number}.example" for number in range(NAMES + 1))
    assert len(alternatives(make(_with(names=names[:-1]), ()).request)) == NAMES + 1
    assert "51 entries" in problems(names=names)["names"]


def test_the_list_of_countries() -> None:
    """CERT-02: a drop-down list."""
    found = dict(countries())
    assert found["GB"].startswith("United Kingdom")
    assert found["DE"] == "Germany"
    assert len(found) > 240
    assert all(len(code) == 2 for code in found)


def test_the_advice_on_rules_of_authorities() -> None:
    """CERT-03"""
    assert "IP address" in ADVICE
    assert "spelled out" in ADVICE


@given(
    st.text(max_size=70), st.text(max_size=70), st.lists(st.text(alphabet=string.printable, max_size=20), max_size=3)
)
def test_whatever_is_written_gives_a_request_or_reasons(name: str, place: str, further: list[str]) -> None:
    fields = _with(common_name=name, locality=place, names=tuple(further))
    try:
        made = make(fields, OWN)
    except Unfit as error:
        assert all(text for _, text in error.problems)
    else:
        assert made.request.is_signature_valid
        assert len(alternatives(made.request)) == len(names_in(fields, OWN))
