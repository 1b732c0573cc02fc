"""AV-02: lists of ClamAV about links: .pdb, .wdb, .gdb."""

import subprocess
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from publicsuffixlist import PublicSuffixList

from engine.scan import knowledge
from engine.scan import links as engine_side
from engine.scan.offline import examine
from signatures import image
from signatures.clamav import phishing
from signatures.clamav.collect import collect
from signatures.clamav.line import NotTaken

BANK, EVIL = "www.bank-example.com", "http://evil.example.net/x"


def mail(body: str, kind: str = "text/html") -> bytes:
    head = f"From: a@example.org\nTo: b@example.org\nSubject: hello\nMIME-Version: 1.0\nContent-Type: {kind}\n\n"
    return f"{head}{body}\n".encode()


def anchor(address: str, shown: str) -> bytes:
    return mail(f'<html><body><p>hello</p><a href="{address}">{shown}</a></body></html>')


MAILS = {
    "fake.eml": anchor(EVIL, f"http://{BANK}/login"),
    "bare.eml": anchor(EVIL, BANK),
    "tags.eml": anchor(EVIL, "www.<b>bank</b>-example.com"),
    "form.eml": mail(f'<html><form action="{EVIL}"><a href="http://{BANK}/">x</a></form></html>'),
    "own.eml": anchor("http://login.bank-example.com/x", BANK),
    "words.eml": anchor(EVIL, "your bank"),
    "other.eml": anchor(EVIL, "www.other-example.com"),
    "longer.eml": anchor(EVIL, "www.notbank-example.com"),
    "pair.eml": anchor("http://shop.bank-example.de/x", BANK),
    "page.eml": anchor("http://a.pages.example.org/bad/./b/..//c.html?x=1", "click"),
    "plain.eml": mail("see http://pages.example.org/bad/ now", "text/plain"),
    "good.eml": anchor("http://pages.example.org/good/", "click"),
}


def digest(text: str, length: int = 64) -> str:
    return sha256(text.encode()).hexdigest()[:length]


PREFIX = f"S1:P:{digest('pages.example.org/', 8)}"
PAGE = f"S1:F:{digest('pages.example.org/bad/')}"
GOOD = f"S1:F:{digest('pages.example.org/good/')}"
LISTS = (
    {"a.pdb": "H:bank-example.com"},
    {"a.pdb": "H:bank-example.com:20-", "a.wdb": f"M:bank-example.de:{BANK}"},
    {"a.pdb": "H:bank-example.com", "a.wdb": r"X:.+bank-example\.de([/?].*)?:.+\.bank-example\.com([/?].*)?:17-"},
    {"a.pdb": r"R:.+evil.+:.*\.bank-example\.com"},
    {"a.gdb": f"{PREFIX}\n{PAGE}"},
    {"a.gdb": f"{PREFIX}\n{PAGE}".replace("S1", "S2")},
    {"a.gdb": f"{PREFIX}\n{PAGE}\n{GOOD}\nS1:W:{GOOD[5:]}".replace("S1", "S")},
)


@pytest.mark.parametrize("lists", LISTS, ids=lambda lists: " ".join(lists))
def test_clamscan_agrees(tmp_path: Path, lists: dict[str, str]) -> None:
    (tmp_path / "db").mkdir()
    for name, content in MAILS.items():
        (tmp_path / name).write_bytes(content)
    for name, text in lists.items():
        (tmp_path / "db" / name).write_text(text + "\n")
    databases = [word for name in lists for word in ("-d", str(tmp_path / "db" / name))]
    command = ["clamscan", "--no-summary", *databases, *(str(tmp_path / name) for name in MAILS)]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert told.returncode == 1, told.stderr
    theirs = {name: one for name in MAILS if (one := told.stdout.partition(f"{name}: ")[2].split()[0]) != "OK"}
    taken = collect([tmp_path / "db"])
    assert not taken.refused
    known = knowledge.load(image.build(taken.signatures, annexes=taken.annexes()))
    ours = {name: one.name for name in MAILS for one in examine(MAILS[name], name, known).matches}
    assert ours == theirs


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        ("www.bank.co.uk", "bank.co.uk"),
        ("a.b.kobe.jp", "a.b.kobe.jp"),
        ("www.city.kobe.jp", "city.kobe.jp"),
        ("one.github.io", "one.github.io"),
        ("x.y.no-such-suffix", "y.no-such-suffix"),
        ("com", "com"),
        ("www.xn--85x722f.xn--55qx5d.cn", "xn--85x722f.xn--55qx5d.cn"),
    ],
)
def test_the_domain_of_an_owner_is_told_by_the_list_of_public_suffixes(host: str, domain: str) -> None:
    known = frozenset(phishing.suffixes())
    assert engine_side.domain_of(host, known) == domain
    theirs = PublicSuffixList(accept_unknown=True).privatesuffix(host)
    assert theirs in (domain, None) and (theirs or host == "com")


def test_both_sides_declare_the_same_annex() -> None:
    fields = [msgspec.structs.fields(side) for side in (engine_side._Annex, phishing.Annex)]
    assert [one.name for one in fields[0]] == [one.name for one in fields[1]]
    assert (engine_side.ANNEX, engine_side.VERSION, engine_side.MOST) == (
        phishing.ANNEX,
        phishing.VERSION,
        phishing.MOST,
    )


def lists(**changed: object) -> engine_side.Links:
    made = phishing.Lists(hosts={"bank-example.com"}, **changed)  # type: ignore[arg-type]
    return engine_side.Links(made.annexes()[phishing.ANNEX])


def names(text: str, known: engine_side.Links) -> tuple[str, ...]:
    return known.names(text.encode(), lambda: None)


@pytest.mark.parametrize(
    ("address", "shown", "fake"),
    [
        ("HTTP://EVIL.EXAMPLE.NET/", "WWW.BANK-EXAMPLE.COM", True),
        ("http://www.bank-example.com@evil.example.net/", BANK, True),
        ("http://evil.example.net/?www.bank-example.com", BANK, True),
        ("http://192.0.2.7/", BANK, True),
        ("mailto:a@evil.example.net", BANK, False),
        ("#top", BANK, False),
        ("http://bank-example.com.evil.example.net/", BANK, True),
        ("https://a.b.bank-example.com:8443/", f"https://{BANK}/?x", False),
    ],
)
def test_addresses_as_readers_take_them(address: str, shown: str, fake: bool) -> None:
    assert lists().is_fake(address, shown) is fake
    assert bool(names(f"<A title='>' HREF = '{address}'>{shown}</A>", lists())) is fake


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("http://host/%25%32%35", ("host", "/%25")),
        ("http://www.GOOgle.com/", ("www.google.com", "/")),
        ("www.example.com", ("www.example.com", "/")),
        ("http://www.example.com.../a/../b", ("www.example.com", "/b")),
        ("http://example.com/blah/..", ("example.com", "/")),
        ("http://example.com//twoslashes?more//slashes", ("example.com", "/twoslashes?more//slashes")),
        ("http://example.com/a\tb", ("example.com", "/ab")),
        ("ftp://example.com/", ("", "")),
    ],
)
def test_addresses_are_made_canonical(address: str, expected: tuple[str, str]) -> None:
    assert engine_side.canonical(address) == expected


def test_a_port_hides_no_page() -> None:
    """ClamAV does not know pages on other ports."""
    page = {"prefixes": {"S1": {bytes.fromhex(PREFIX[-8:])}}, "digests": {"S1": {bytes.fromhex(PAGE[-64:])}}}
    assert lists(**page).known("http://pages.example.org:8080/%62ad/#top") == (phishing.PAGES["S1"],)


def test_links_are_counted_up_to_a_bound() -> None:
    other = "<a href='http://a.example.org/'>a</a>"
    fake = f"<a href='{EVIL}'>{BANK}</a>"
    assert names(other * (engine_side.LINKS - 1) + fake, lists()) == (engine_side.SPOOFED,)
    assert not names(other * engine_side.LINKS + fake, lists())
    page = {"prefixes": {"S1": {bytes.fromhex(PREFIX[-8:])}}, "digests": {"S1": {bytes.fromhex(PAGE[-64:])}}}
    many = "".join(f"http://a.example.org/{n} " for n in range(engine_side.LINKS - 1))
    assert names(many + "http://pages.example.org/bad/", lists(**page)) == (phishing.PAGES["S1"],)
    assert not names(many + "http://b.example.org http://pages.example.org/bad/", lists(**page))


def test_what_a_link_shows_is_read_up_to_a_bound() -> None:
    """_SHOWN_LEN, URL_LEN, _UNESCAPES: each is crossed by one."""
    padding = engine_side._SHOWN_LEN - len(BANK)
    for more in (0, 1):
        found = names(f"<a href='{EVIL}'>{' ' * (padding + more)}{BANK}</a>", lists())
        assert bool(found) is not bool(more)
    path = "x" * (engine_side.URL_LEN - len("http://a.example/"))
    assert len(engine_side.canonical(f"http://a.example/{path}y")[1]) == len(path) + 1
    for times, rest in ((engine_side._UNESCAPES, "/a"), (engine_side._UNESCAPES + 1, "/%2561")):
        assert engine_side.canonical(f"http://a.example/%{'25' * (times - 1)}61")[1] == rest


@given(st.text("<a href=\"'>/?:.w@bank-exmpl.co%25&#;\n", max_size=200))
def test_any_text(text: str) -> None:
    page = {"prefixes": {"S1": {bytes.fromhex(PREFIX[-8:])}}, "digests": {"S1": {bytes.fromhex(PAGE[-64:])}}}
    names(text, lists(**page))
    assert engine_side.canonical(text)[1][:1] in ("", "/")


@pytest.mark.parametrize("octets", [b"", b"\xc1", msgspec.msgpack.encode([[], [], [], [], [], b"", 2])])
def test_a_broken_annex_is_refused(octets: bytes) -> None:
    with pytest.raises(ValueError, match="lists of links of the definitions"):
        engine_side.Links(octets)


@pytest.mark.parametrize(
    ("suffix", "line", "reason"),
    [
        (".pdb", "H:", '"" is no host name'),
        (".pdb", "Q:bank", "neither H:host"),
        (".pdb", "R:(:b", "regular expression"),
        (".pdb", "H:a.example:1-9", "for older engines only"),
        (".wdb", "M:a.example", "neither M:host"),
        (".gdb", "S:F:00", '"00" is no SHA-256'),
        (".gdb", "S3:P:00000000", "neither S:P"),
    ],
)
def test_what_is_not_taken_says_why(suffix: str, line: str, reason: str) -> None:
    with pytest.raises(NotTaken) as raised:
        phishing.READERS[suffix](line, phishing.Lists())
    assert str(raised.value).startswith(reason)
