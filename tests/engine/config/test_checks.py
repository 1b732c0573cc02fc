"""Mistakes beyond types: each is named with its setting, its line and a remedy, all at once (PROC-15)."""
# ruff: noqa: E501 - a case a line

from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import config
from engine.config import ConfigError, Days, Settings, fields
from engine.config.file import literal
from engine.limits import LISTENERS, UPDATE_SOURCES
from tests.engine.config.strategy import good


def mistakes(text: str) -> list[config.Problem]:
    with pytest.raises(ConfigError) as caught:
        config.parse(text)
    return list(caught.value.problems)


@settings(max_examples=40, deadline=None)
@given(good)
def test_whatever_is_good_is_read_back_the_same(wanted: Settings) -> None:
    """PROC-15: all sections, by their declarations."""
    assert config.parse(config.dump(wanted)) == wanted


# setting, line, remedy
CASES = [
    ('[logging]\nvirus_page = "https://viruses.example/"\n', "logging.virus_page", 2, "write {name}"),
    ('[logging]\nvirus_page = "http://viruses.example/{name}"\n', "logging.virus_page", 2, "https://"),
    ('[blocking.subject]\naction = "forward"\n', "blocking.subject.forward.to", 1, "BLK-04"),
    ('[blocking.senders]\nenabled = true\naction = "forward"\n', "blocking.senders.forward.to", 1, "BLK-04"),
    ('[blocking.containers]\n\naction = "forward"\n[blocking.containers.forward]\nsubject = "x"\n', "blocking.containers.forward.to", 4, "BLK-04"),
    ('[blocking.encrypted]\naction = "forward"\nforward = { to = "two words" }\n', "blocking.encrypted.forward.to", 3, "not a mail address"),
    ('[blocking.block_lists]\naction = "forward"\nforward.to = ""\n', "blocking.block_lists.forward.to", 3, "BLK-04"),
    ('[blocking.dmarc]\nquarantine = "forward"\n', "blocking.dmarc.forward.to", 1, "quarantine is"),
    ('[blocking.subject.forward]\nto = "sec@example.com"\nsubject = "a\\r\\nBcc: x"\n', "blocking.subject.forward.subject", 3, "one line"),
    ("[[blocking.block_lists.lists]]\ndomain = ''\n", "blocking.block_lists.lists[0].domain", 2, "write the domain"),
    ("[[blocking.block_lists.lists]]\nenabled = true\n", "blocking.block_lists.lists[0].domain", 1, "missing"),
    ("[[blocking.block_lists.lists]]\ndomain = 'a.b'\n[[blocking.block_lists.lists]]\ndomain = 'A.b.'\n", "blocking.block_lists.lists[1].domain", 4, "twice"),
    ("[[blocking.block_lists.lists]]\ndomain = 'a.b'\n[[blocking.block_lists.lists]]\ndomain = 'c.d'\ncodes = [\n'127.0.0.2',\n'10.0.0.1']\n", "blocking.block_lists.lists[1].codes[1]", 7, "127.0.0.0/8"),
    ("[[blocking.block_lists.lists]]\ndomain = 'a.b'\ncodes_on = true\ncodes = [' ']\n", "blocking.block_lists.lists[0].codes", 4, "never block"),
    ("[blocking.block_lists]\nscore = 3\nlists = [{domain='a.b', enabled=true, weight=2}]\n", "blocking.block_lists.score", 2, "2 or less"),
    ("[quarantine]\nserver = 'https://q.example.com'\n", "quarantine.server", 2, "its name or its address"),
    ("[quarantine]\nserver = '192.0.2.1'\nenrollment = ''\n", "quarantine.enrollment", 3, "QRN-04"),
    ("[blocking.files]\nnames = ['*.exe',\n '*.*']\n", "blocking.files.names[1]", 3, "every attachment"),
    ("[blocking.files]\nmodern_names = ['*']\n", "blocking.files.modern_names[0]", 2, "every attachment"),
    ("[blocking.senders]\naddresses = ['', 'example.com']\n", "blocking.senders.addresses[1]", 2, "@example.com"),
    ("[blocking.white_list]\ndomains = ['a@example.com']\n", "blocking.white_list.domains[0]", 2, "@example.com"),
    ("[blocking.characters]\ncharacters = '% !'\n", "blocking.characters.characters", 2, "a blank"),
    ("[blocking.characters]\nenabled = true\ncharacters = ''\n", "blocking.characters.characters", 3, "is empty"),
    ("[blocking.size]\nmax_mb = 0\n", "blocking.size.max_mb", 2, "from 1 to 2047"),
    ("[blocking.size]\nmax_mb = 2048\n", "blocking.size.max_mb", 2, "from 1 to 2047"),
    ("[blocking.size]\nmax_mb = 1.5\n", "blocking.size.max_mb", 2, "whole number"),
    ("[blocking.size]\nmax_mb = -1\n", "blocking.size.max_mb", 2, "whole number"),
    ("[blocking.size]\nmax_mb = ''\n", "blocking.size.max_mb", 2, "whole number"),
    ("[blocking.containers]\ndepth = 0\n", "blocking.containers.depth", 2, "1 or more"),
    ("[blocking.containers]\ndepth = 2147483648\n", "blocking.containers.depth", 2, "up to 2147483647"),
    (f"[[blocking.block_lists.lists]]\ndomain = 'a.b'\nweight = {10**30}\n", "blocking.block_lists.lists[0].weight", 3, "up to 2147483647"),
    ("[smtp]\nhostname = 2026-01-01\n", "smtp.hostname", 2, "is a date or time: a text"),
    ("[smtp]\nhostname = mail.example.com\n", "", 2, "texts stand in quotes"),
    ("[smtp]\n[blocking.size]\n[blocking.size]\n", "", 3, "cannot declare [blocking.size] twice"),
    ("[outbreak]\nmessages = 0\n", "outbreak.messages", 2, "1 or more"),
    ("[outbreak]\nminutes = 0.5\n", "outbreak.minutes", 2, "whole number"),
    ("[outbreak]\nrecipients = ['boss']\n", "outbreak.recipients[0]", 2, "mail address"),
    ("[outbreak]\ntext = '{$VIRUSINFO}'\n", "outbreak.text", 2, "NTF-16"),
    ("[notifications]\nadministrators = ['a@example.com', 'b']\n", "notifications.administrators[1]", 2, "mail address"),
    ("[notifications.virus.sender]\n\ntext = '{$DISPOSITION}'\n", "notifications.virus.sender.text", 3, "{$MSGINFO}"),
    ("[notifications.spam.administrator]\ntext = '{$SPAMINFO'\n", "notifications.spam.administrator.text", 2, "damaged"),
    ("[notifications.content.sender]\ntext = '{$NOTHING}'\n", "notifications.content.sender.text", 2, "no metatag"),
    ("[notifications.content.sender]\nsubject = \"a\\nb\"\n", "notifications.content.sender.subject", 2, "one line"),
    ("[updates]\nfirst = '6:00'\n", "updates.first", 2, "HH:MM"),
    ("[updates]\nfirst = '24:00'\n", "updates.first", 2, "HH:MM"),
    ("[updates]\nfrequency = 'every-5-hours'\n", "updates.frequency", 2, "every-4-hours"),
    ("[updates.days]\n" + "".join(f"{day} = false\n" for day in Days.__struct_fields__), "updates.days", 1, "choose one"),
    ("[updates]\nsources = ['https://a.example/x', 'updates.example.com']\n", "updates.sources[1]", 2, "https://"),
    ("[updates]\nsources = ['clamav+ftp://a.example/x']\n", "updates.sources[0]", 2, "https://"),
    ("[updates]\nsources = ['https://a.example/x?y']\n", "updates.sources[0]", 2, "directory alone"),
    ("[antivirus]\ntext = '{$MSGINFO}'\n", "antivirus.text", 2, "{$FILE}"),
    ("[blocking.files]\ntext = '{$VIRUSINFO}'\n", "blocking.files.text", 2, "{$FILE}"),
    ("[[smtp.listeners]]\nmode = 'submission'\n", "smtp.listeners[0].mode", 2, "RELAY-14"),
    ("[[smtp.listeners]]\n[[smtp.listeners]]\n", "smtp.listeners[0].port", 1, "smtp.listeners[1].port are both 587"),
    ("[[smtp.listeners]]\nport = 1\nmode = 'lmtp'\n", "smtp.listeners[0].mode", 3, "mx"),
    ("[[relay.grants]]\n", "relay.grants[0]", 1, "everybody"),
    ("[[relay.grants]]\nnetwork = '10.0.0.0/8'\n[[relay.grants]]\nheader = 'X-Tenant'\nvalue = 'x'\n", "relay.grants[1]", 3, "add network or tls_name"),
    ("[[relay.grants]]\nsender_domains = ['@a.b']\n", "relay.grants[0]", 1, "add network or tls_name"),
    ("[[relay.grants]]\nnetwork = '*'\n", "relay.grants[0].network", 2, "everybody"),
    ("[[relay.grants]]\nnetwork = '10.*'\nheader = 'X-Tenant'\n", "relay.grants[0].value", 1, "is empty"),
    ("[[relay.grants]]\nnetwork = '10.*'\nvalue = 'x'\n", "relay.grants[0].header", 1, "is empty"),
    ("[[relay.grants]]\nnetwork = '10.*'\nheader = 'X:'\nvalue = 'x'\n", "relay.grants[0].header", 3, "colon"),
    ("[[relay.grants]]\ntls_name = 'a'\nsender_domains = ['a.b']\n", "relay.grants[0].sender_domains[0]", 3, "@a.b"),
    ("[[relay.grants]]\ntls_name = '10.0.0.1'\n", "relay.grants[0].tls_name", 2, "certificate"),
    ("[authentication]\nauthserv_id = 'a b'\n", "authentication.authserv_id", 2, "host name"),
    ("[authentication]\ntrusted_sealers = ['@a.b']\n", "authentication.trusted_sealers[0]", 2, "domain name"),
    ("[dns]\nservers = ['192.0.2.1#99999']\n", "dns.servers[0]", 2, "5353"),
    ("[smtp]\nmax_incomming = 5\n", "smtp.max_incomming", 2, "did you mean max_incoming?"),
    ("[blocking]\nsize = true\n", "blocking.size", 2, "as a table"),
    ("[routing]\nlocal = 5\n", "routing.local", 2, "[[routing.local]]"),
    ("[routing]\nlocal = [5]\n", "routing.local[0]", 2, "table"),
    ("[routing]\ndefault_host = 'lmtp:a.b'\n", "routing.default_host", 2, "lmtp:unix:/path"),
    ("[[routing.local]]\nname = 'b'\nhost = 'lmtp:unix:/a'\ntls = 'required'\n", "routing.local[0].host", 3, "DLV-06"),
    ("[[routing.local]]\nname = 'b'\nhost = 'smtps:a.b'\ntls = 'none'\n", "routing.local[0].host", 3, "DLV-06"),
    ("[[routing.local]]\nname = 'b'\nhost = 'lmtp:a.b:24'\nmx = true\n", "routing.local[0].host", 3, "clear mx"),
    ("[delivery]\ntls = 'always'\n", "delivery.tls", 2, "verified"),
    ("[relay]\nhosts = ['a',\n5]\n", "relay.hosts[1]", 3, "a text in quotes"),
    ("[relay]\nhosts = 'a'\n", "relay.hosts", 2, "a list"),
    ("[smtp]\nfrom_address = 'A@b.c'\n[notifications]\nadministrators = [' a@B.c']\n", "smtp.from_address", 2, "notifications.administrators too"),
    ("[smtp]\nhostname = 'b.c'\n[outbreak]\nrecipients = ['mailward-noreply@b.c']\n", "smtp.from_address", 1, "SMTP-10"),
    ("[smtp]\nfrom_address = 'a@b.c'\n[blocking.size]\n[blocking.senders.forward]\nto = 'a@b.c'\n", "smtp.from_address", 2, "blocking.senders.forward.to"),
    ("[smtp]\nlisten = {host = '0.0.0.0', port = 25}\n[routing]\ndefault_host = 'a.b, 127.0.0.1'\n", "routing.default_host", 4, "RTE-12"),
    ("[smtp]\nhostname = 'gw.b'\n[[routing.local]]\nname = 'b'\nhost = 'GW.b'\n", "routing.local[0].host", 5, "this gateway itself"),
    ("[antivirus]\ninclude = ['.exe',\n'exe']\n", "antivirus.include[1]", 3, "write .exe"),
    ("[antivirus]\nexclude = ['*.jpg']\n", "antivirus.exclude[0]", 2, "write .jpg"),
    ("[logging]\nkeep_weeks = -1\n", "logging.keep_weeks", 2, "from 0 to 520"),
    ("[blocking.subject]\naction = 'delete'\n", "blocking.subject.action", 2, '"forward"'),
    ("[blocking.subject]\nenabled = 1\n", "blocking.subject.enabled", 2, "true or false"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "setting", "line", "words"), CASES)
def test_each_mistake_has_its_line_and_remedy(text: str, setting: str, line: int, words: str) -> None:
    """BLK-04, BLK-05, SIZE-02, SUBJ-02, SUBJ-03, FILE-02, SNDR-03, SNDR-05, CONT-02, WL-02, DNSBL-04, CHAR-02, RELAY-09,
    NTF-16, OUT-01, PROC-15, PROC-18: what cannot be saved."""
    found = mistakes(text)
    assert [(one.setting, one.line) for one in found if one.setting == setting] == [(setting, line)], found
    problem = next(one for one in found if one.setting == setting)
    assert words in str(problem)
    assert problem.at("f").startswith(f"f:{line}: {setting}")


def test_all_mistakes_at_once_in_the_order_of_the_file() -> None:
    """BLK-05, PROC-15: nobody has to save ten times to hear of ten mistakes."""
    pieces = [
        "[smtp]\nmax_incoming = 0\nhostnam = 'x'\n",
        "[blocking.size]\nmax_mb = 'x'\n",
        "[blocking.senders]\naction = 'forward'\naddresses = ['a.b', 'x@y.example', 'c d']\n",
        "[[blocking.block_lists.lists]]\ndomain = 5\n[[blocking.block_lists.lists]]\ndomain = 'x y'\n",
    ]
    found = mistakes("".join(pieces))
    assert [one.line for one in found] == sorted(one.line for one in found)
    assert [one.setting for one in found] == [
        "smtp.max_incoming",
        "smtp.hostnam",
        "blocking.size.max_mb",
        "blocking.senders.forward.to",
        "blocking.senders.addresses[0]",
        "blocking.senders.addresses[2]",
        "blocking.block_lists.lists[0].domain",
        "blocking.block_lists.lists[1].domain",
    ]


@settings(max_examples=40, deadline=None)
@given(good, st.data())
def test_a_bad_entry_anywhere_is_found_on_its_line(wanted: Settings, data: st.DataObject) -> None:
    """BLK-05: the faulty line is named in the error, however much stands around it."""
    flat = fields.flat(wanted)
    places = [
        (name, index)
        for name, value in flat.items()
        if isinstance(value, tuple)
        and name.rpartition(".")[2] not in ("lines", "usual_passwords")
        and not name.startswith("web.oidc.")
        for index in range(len(value))
    ]
    if not places:
        return
    name, index = data.draw(st.sampled_from(places))
    entries = list(flat[name])
    entries[index] = "bad entry*"
    text = config.dump(wanted)
    key = name.rpartition(".")[2]
    before = f"{key} = {literal(flat[name])}\n"
    if text.count(before) != 1:
        return  # as by default, or the same list twice
    after = f"{key} = [\n" + "".join(f"  {literal(one)},\n" for one in entries) + "]\n"
    text = text.replace(before, after)
    (problem,) = mistakes(text)
    assert problem.setting == f"{name}[{index}]"
    assert "bad entry*" in text.splitlines()[problem.line - 1]


def test_blank_lines_and_duplicates_do_not_count() -> None:
    """BLK-05: blank lines and surrounding blanks are ignored, duplicates removed, in lists of every kind."""
    text = "[blocking.senders]\naddresses = [' @a.example', '', '@A.example ', '.b.example', '  ']\n"
    text += "[[relay.grants]]\nnetwork = '10.*'\nsender_domains = ['@x.example', '@x.example']\n"
    found = config.parse(text)
    assert found.blocking.senders.addresses == ("@a.example", ".b.example")
    assert found.relay.grants[0].sender_domains == ("@x.example",)
    assert config.parse(config.dump(found)) == found


def test_a_forward_that_is_not_used_may_be_empty() -> None:
    """BLK-04: empty by default; an address is needed only by the action."""
    for action in ("drop", "log", "hold"):
        assert config.parse(f"[blocking.subject]\naction = '{action}'\n").blocking.subject.forward.to == ""
    text = "[blocking.subject]\naction = 'forward'\nforward = { to = 'sec@example.com', subject = 'Blocked' }\n"
    assert config.parse(text).blocking.subject.forward == config.Forward("sec@example.com", "Blocked")


def test_brackets_without_end() -> None:
    assert "brackets" in str(mistakes("x = " + "[" * 100_000 + "]" * 100_000)[0])


@pytest.mark.parametrize(
    ("text", "setting"),
    [
        ("[relay]\nallow_all = true\n", "relay.allow_all"),
        ("[outbreak]\nenabled = true\n", "outbreak.recipients"),
        ("[alerts]\nstart = true\n", "notifications.administrators"),
        ("[notifications.virus.administrator]\nenabled = true\n", "notifications.administrators"),
        ("[blocking.subject]\nenabled = true\n", "blocking.subject.lines"),
        ("[blocking.white_list]\nenabled = true\nconfirmed = true\ndomains = ['@a.example']\n", "blocking.white_list.confirmed"),
        ("[blocking.dmarc]\nenabled = true\nreject = 'drop'\ncorroborated = false\n", "blocking.dmarc.corroborated"),
        ("[antivirus]\nenabled = false\n", "antivirus.enabled"),
        ("[antivirus]\nunscanned = 'deliver'\n", "antivirus.unscanned"),
        ("[antivirus]\nfiles = 'listed'\n", "antivirus.include"),
        ("[antivirus]\nfiles = 'listed'\ninclude = ['.exe']\n", "antivirus.include"),
        ("[antivirus]\nfiles = 'others'\nexclude = ['.jpg', '.ZIP']\n", "antivirus.exclude[1]"),
        ("[delivery]\npause = true\n", "delivery.pause"),
        ("[delivery]\nreject_incoming = true\n", "delivery.reject_incoming"),
        ("[quarantine]\nwhat = 'unrepaired'\n[antivirus]\ndetected = 'delete'\n", "quarantine.what"),
        ("[quarantine]\nserver = 'q.example.com'\n", "quarantine.server"),
        ('[smtp]\nproxies = ["10.0.0.1"]\n[relay]\nhosts = ["10.0.0.0/8"]', "smtp.proxies[0]"),
    ],
)  # fmt: skip
def test_remarks(text: str, setting: str) -> None:
    """RELAY-02, OUT-02, NTF-13, QRN-02: what is allowed, but without effect or surprising, is said and saved all the same."""
    route = "[[routing.local]]\nname = 'example.com'\n"
    assert [one.setting for one in config.remarks(config.parse(text + "\n" + route))] == [setting]
    assert not config.remarks(config.parse(route))


def test_nothing_is_put_aside_where_nothing_is_found() -> None:
    """QRN-02: all infections needs that virus scanning is on."""
    text = "[quarantine]\nwhat = 'all'\n[antivirus]\nenabled = false\n[routing]\ndefault_host = 'a.example'\n"
    found = config.remarks(config.parse(text))
    assert [one.setting for one in found] == ["quarantine.what", "antivirus.enabled"]


def test_a_gateway_without_routes_is_told_so() -> None:
    """RTE-02."""
    assert [str(one) for one in config.remarks(Settings())] == [
        "routing.local is empty, and so is routing.default_host: all mail goes where MX of its domain points (RTE-02)"
    ]
    assert not config.remarks(config.parse("[routing]\ndefault_host = '192.0.2.1'\n"))


def test_save_refuses_what_cannot_be_saved(tmp_path: Path) -> None:
    """PROC-18: an empty address cannot be saved, whoever calls."""
    subject = config.SubjectLines(action=config.MessageAction.FORWARD)
    bad = msgspec.structs.replace(Settings(), blocking=config.Blocking(subject=subject))
    with pytest.raises(ConfigError, match="BLK-04"):
        config.save(bad, tmp_path / "mailward.toml")
    assert not list(tmp_path.iterdir())


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    """PROC-15: as some editors write it; lines are counted all the same."""
    path = tmp_path / "mailward.toml"
    path.write_bytes(b"\xef\xbb\xbf[blocking.size]\r\nmax_mb = 7\r\n")
    assert config.load(path).blocking.size.max_mb == 7
    path.write_bytes(b"\xef\xbb\xbf[blocking.size]\r\nmax_mb = 0\r\n")
    with pytest.raises(ConfigError, match=r":2: blocking\.size\.max_mb"):
        config.load(path)


@pytest.mark.parametrize("more", [0, 1])
def test_a_relay_listens_at_so_many_addresses(more: int) -> None:
    """SMTP-03: by one; they are handed over in one message."""
    listeners = tuple(config.FurtherListener(port=1000 + number) for number in range(LISTENERS - 1 + more))
    found = config.problems(Settings(smtp=config.Smtp(listeners=listeners)))
    assert [one.setting for one in found] == ["smtp.listeners"] * more


def test_there_are_so_many_sources_of_updates_at_most() -> None:
    sources = [f"https://{number}.example/" for number in range(UPDATE_SOURCES + 1)]
    assert not config.problems(config.parse(f"[updates]\nsources = {sources[:-1]}\n"))
    (mistake,) = mistakes(f"[updates]\nsources = {sources}\n")
    assert (mistake.setting, "there may be" in mistake.text) == ("updates.sources", True)
