"""Where a message says its passwords, and how many of them are tried."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import limits
from engine.scan.keyring import Keyring, spellings
from engine.scan.passwords import Texts, candidates, visible
from tests.engine.scan.material import Clock


def said(text: str, page: bool = False, subject: str = "", names: tuple[str, ...] = ()) -> list[str]:
    texts = Texts()
    texts.add(text.encode(), page)
    return candidates(subject, names, texts, ("infected", "1234"))


@pytest.mark.parametrize(
    ("text", "password"),
    [
        ("Hello,\nplease find it attached. Password: X7k-99\nBye", "X7k-99"),
        ("Das Passwort lautet Geheim123.", "Geheim123"),
        ("The password for the attached archive is 4711", "4711"),
        ("Пароль: кот2024", "кот2024"),
        ("pw=abc", "abc"),
        ("mot de passe : Été2024", "Été2024"),
        ("La contraseña es secreta", "secreta"),
        ("パスワード：abcd1234 です", "abcd1234"),
        ("解压密码：hello", "hello"),
        ("password:1234567x", "1234567x"),
        ("Your PIN\n\n   880022\n\nregards", "880022"),
        ("Kod: zażółć", "zażółć"),
    ],
)
def test_behind_a_word_that_means_password(text: str, password: str) -> None:
    """ENC-01: the first one tried."""
    assert said(text)[0] == password


@pytest.mark.parametrize(
    "text",
    ["open it with „Sesam öffne“ please", "open it with\nSesam!öffne\nplease", "it is (Sesam öffne)", "`Sesam öffne`"],
)
def test_quoted_and_by_itself(text: str) -> None:
    assert {"Sesam öffne", "Sesam!öffne"} & set(said(text)[:8])


def test_sentence_ends_are_tried_without_and_with() -> None:
    assert set(said("The password is Hello!")[:2]) == {"Hello", "Hello!"}


@pytest.mark.parametrize("declared", ["us-ascii", "iso-8859-1", "x-unknown", "rot13", "koi8-r", ""])
def test_what_is_utf_8_is_read_as_such(declared: str) -> None:
    texts = Texts()
    texts.add("Passwort: grün1".encode(), False, declared)
    assert candidates("", (), texts, ())[0] == "grün1"


def test_the_charset_that_a_page_declares() -> None:
    texts = Texts()
    texts.add("<meta http-equiv=x content='text/html; charset=koi8-r'><p>Пароль: кот2024".encode("koi8-r"), True)
    assert candidates("", (), texts, ())[0] == "кот2024"


def test_names_subjects_and_the_usual_ones() -> None:
    found = said("see there", subject="Invoice, code 7788", names=("archive_secret99.zip",))
    assert found[0] == "7788" and {"secret99", "infected", "1234"} <= set(found)


def test_a_page_as_it_is_seen() -> None:
    page = "<style>p{password:no}</style><p>Pass<b>wo</b>rd: <i>12</i>34ab&amp;<br>x</p><script>pin=9</script>"
    assert said(page, True)[0] == "1234ab&"
    assert "no" not in visible(page) and "pin" not in visible(page)


def test_encodings_of_texts() -> None:
    texts = Texts()
    texts.add("Passwort: grün1".encode("cp1252"), False)
    texts.add("\ufeffPassword: wide1".encode("utf-16-le"), False)
    assert {"grün1", "wide1"} <= set(candidates("", (), texts, ()))
    assert list(spellings("abc")) == [b"abc"]
    assert "grün".encode() in spellings("grün") and "grün".encode("cp437") in spellings("grün")
    assert "кот".encode("cp1251") in spellings("кот")


@given(st.text(max_size=400), st.booleans(), st.text(max_size=40), st.lists(st.text(max_size=40), max_size=3))
def test_whatever_is_written(text: str, page: bool, subject: str, names: list[str]) -> None:
    """Bounded, each once, none empty; and the same each time."""
    texts = Texts()
    texts.add(text.encode("utf-8", "replace"), page)
    found = candidates(subject, names, texts, ("infected",))
    assert len(found) == len(set(found)) <= limits.PASSWORDS
    assert all(0 < len(word.encode("utf-8", "replace")) <= limits.PASSWORD_LEN for word in found)
    assert found == candidates(subject, names, texts, ("infected",))


@given(st.from_regex(r"\A[A-Za-z0-9!#$%&+-]{4,40}[A-Za-z0-9]\Z"), st.text("abc \n", max_size=200))
def test_a_password_is_found_behind_any_text(password: str, before: str) -> None:
    assert password in said(f"{before}\nPassword: {password}\n")[:6]


def test_lengths_by_one() -> None:
    """limits.PASSWORD_LEN octets, and limits.PASSWORD_TEXT_LEN of each of limits.PASSWORD_TEXTS texts."""
    longest = "x1" * (limits.PASSWORD_LEN // 2)
    assert said(f"password: {longest}")[0] == longest
    assert f"{longest}y" not in said(f"password: {longest}y")
    word = "pw: Qx99"
    assert "Qx99" in said(" " * (limits.PASSWORD_TEXT_LEN - len(word)) + word)
    assert "Qx99" not in said(" " * (limits.PASSWORD_TEXT_LEN - len(word) + 1) + word)
    texts = Texts()
    for number in range(limits.PASSWORD_TEXTS + 1):
        texts.add(b"pw: Qx0%d" % number, False)
    found = candidates("", (), texts, ())
    assert f"Qx0{limits.PASSWORD_TEXTS - 1}" in found and f"Qx0{limits.PASSWORD_TEXTS}" not in found


def test_what_is_looked_behind_by_one() -> None:
    """passwords._KEYWORDS, and passwords._BEHIND: further words are those of any text."""
    line = f"pw {'-' * 170}\n"
    assert said(line * 63 + "pw: kitten")[0] == "kitten"
    assert said(line * 64 + "pw: kitten")[0] != "kitten"
    far = 160 - len("kitten")
    assert said("password" + " " * far + "kitten")[0] == "kitten"
    assert said("password" + " " * (far + 1) + "kitten")[0] != "kitten"


def test_so_many_and_no_more() -> None:
    """limits.PASSWORDS: the likeliest of them."""
    many = " ".join(f"decoy{number}" for number in range(limits.PASSWORDS + 1))
    found = said(f"{many}\nThe password is Right-1")
    assert len(found) == limits.PASSWORDS and found[0] == "Right-1"
    tried: list[str] = []
    Keyring([str(number) for number in range(limits.PASSWORDS + 1)]).find(tried.append)
    assert len(tried) == limits.PASSWORDS


def test_tries_of_one_message() -> None:
    """limits.PASSWORD_TRIES by one; then all stays closed, also what would open without a word."""
    keyring = Keyring(["a", "b"])
    tried: list[str] = []
    for _ in range(limits.PASSWORD_TRIES // 2):
        assert keyring.find(tried.append) is None
    assert len(tried) == limits.PASSWORD_TRIES and keyring.wanted
    assert keyring.find(str) is None and keyring.attempt(str, "") is None


def test_seconds_of_one_message() -> None:
    """limits.PASSWORD_S: a try that begins within them is the last one."""
    clock = Clock()
    keyring = Keyring(["a"], clock)

    def slow(word: str) -> None:
        clock.now += limits.PASSWORD_S

    keyring.find(slow)
    assert keyring.find(str) == "a"
    keyring = Keyring(["a"], clock)
    keyring.find(slow)
    clock.step = 0.001
    assert keyring.find(str) == "a"
    assert keyring.find(str) is None


def test_what_opened_one_is_tried_first_at_the_next() -> None:
    keyring = Keyring(["a", "b", "c"])
    assert keyring.find(lambda word: word if word == "c" else None) == "c"
    tried: list[str] = []
    keyring.find(tried.append)
    assert tried == ["c", "a", "b"]
