"""Passwords that a message itself says, the likeliest first: people write them beside what they open.

    texts        plain, and HTML as it is seen
    subject, names of attachments
    the usual ones, which the settings list

Every word has a weight: by what stands before it (`password:` in many languages), by quotes around it, by standing on a
line of its own, by looking like a password. The heaviest are tried. Nothing here knows what they open.
"""

import html
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from engine import limits
from engine.scan.header import decode_charset
from engine.scan.mapped import Octets

# Words of languages that put space between words, and of those that do not.
_SPACED: Final = (
    "pass", "passwd", "password", "passwords", "passcode", "passphrase", "passkey", "pwd", "pw", "psw", "pass word",
    "code", "key", "pin", "passwort", "kennwort", "schlüssel", "code", "mot de passe", "mdp", "contraseña",
    "contrasena", "clave", "senha", "palavra-passe", "parola", "chiave", "parolă", "wachtwoord", "kod", "kode", "koden",
    "lösenord", "passord", "adgangskode", "kodeord", "salasana", "parool", "parole", "slaptažodis", "hasło", "haslo",
    "heslo", "jelszó", "jelszo", "geslo", "lozinka", "zaporka", "šifra", "şifre", "sifre", "пароль", "пароля",
    "паролем", "код", "парола", "лозинка", "шифра", "κωδικός", "סיסמה", "كلمة المرور", "كلمة السر",
    "รหัสผ่าน", "mật khẩu",
    "kata sandi", "sandi", "parol", "құпиясөз",
)  # fmt: skip
_UNSPACED: Final = ("密码", "密碼", "口令", "パスワード", "暗証番号", "비밀번호", "암호")
_KEYWORD: Final = re.compile(
    r"(?:(?<![^\W_])(?:" + "|".join(sorted(set(_SPACED), key=len, reverse=True)) + r")(?![^\W_])|"
    + "|".join(_UNSPACED) + ")",
    re.IGNORECASE,
)  # fmt: skip
_KEYWORDS: Final = 64  # words that mean password, of one text, that are looked behind
_BEHIND: Final = 160  # characters behind one of them in which the password is looked for
_WORDS_BEHIND: Final = 8
_QUOTES: Final = "\"'`“”„«»‘’‚‹›「」『』()[]<>*"
_QUOTE: Final = f"[{re.escape(_QUOTES)}]"
_QUOTED: Final = re.compile(f"{_QUOTE}([^{re.escape(_QUOTES)}\\r\\n]{{1,64}}){_QUOTE}")
_TRAILING: Final = ".,;:!?。、，；："
_POINTS_AT: Final = re.compile(
    r"(?:[:=：]|\b(?:is|ist|lautet|est|es|é|è|är|er|to|jest|je|on|это|будет)\b)[\s:=：>*-]*\Z", re.I
)
_TAG: Final = re.compile(r"(<[^<>]*>)")
_INLINE: Final = frozenset(
    {"b", "i", "u", "em", "strong", "span", "font", "a", "small", "big", "code", "tt", "sub", "sup", "o:p"}
)
_UNSEEN: Final = frozenset({"style", "script", "title"})
_META: Final = re.compile(rb"<meta[^>]{1,200}charset=[\"']?([\w-]{1,40})", re.I)
_LATIN: Final = frozenset({"", "us-ascii", "ascii", "iso-8859-1", "latin-1"})  # that mean more than they say
_PRETTY: Final = 30  # what looks like a password weighs so much more


class Texts:
    """The texts of one message, as far as they are looked at: limits.PASSWORD_TEXTS of PASSWORD_TEXT_LEN octets."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def add(self, octets: Octets, page: bool, charset: str = "") -> None:
        """octets: of a text part, decoded. page: it is HTML. charset: as its header declares it."""
        if len(self.seen) < limits.PASSWORD_TEXTS:
            looked_at = bytes(octets[: limits.PASSWORD_TEXT_LEN])
            declared = _META.search(looked_at, 0, 1024) if page and not charset else None
            text = _decoded(looked_at, declared[1].decode() if declared else charset)
            self.seen.append(visible(text) if page else text)


def _decoded(octets: bytes, charset: str) -> str:
    """As programs show it: what is UTF-8 as such, whatever it declares, as that is often wrong."""
    if octets[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return octets.decode("utf-16", "replace")
    if not octets.isascii():  # else it may be in a charset of seven bits
        try:
            return octets.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            if len(octets) == limits.PASSWORD_TEXT_LEN and error.start >= len(octets) - 4:  # a character that was cut
                return octets[: error.start].decode("utf-8-sig")
    return decode_charset(octets, "cp1252" if charset.lower() in _LATIN else charset)


def visible(page: str) -> str:
    """The text of a page as it is seen, near enough: tags inside of words are nothing, others end a line. O(len)."""
    pieces: list[str] = []
    unseen = ""
    for piece in _TAG.split(page):
        if not piece.startswith("<"):
            if not unseen:
                pieces.append(" ".join(piece.split("\n")))
            continue
        name = piece.strip("<>/ \t\r\n").partition(" ")[0].partition("\n")[0].lower()
        if unseen:
            unseen = "" if piece.startswith("</") and name == unseen else unseen
        elif name in _UNSEEN and not piece.startswith("</"):
            unseen = name
        elif name not in _INLINE:
            pieces.append("\n")
    return html.unescape("".join(pieces))


def candidates(subject: str, names: Iterable[str], texts: Texts, usual: Sequence[str]) -> list[str]:
    """Passwords to try, at most limits.PASSWORDS of limits.PASSWORD_LEN octets, each once. O(octets of the texts)."""
    weights: dict[str, int] = {}
    for number, text in enumerate([subject[: limits.NAME_LEN], *texts.seen]):
        _weigh(text, weights, 15 if number == 0 else 0)
    for name in names:
        stem = name[: limits.NAME_LEN].rpartition(".")[0]
        for word in (stem, *re.split(r"[\s_().,-]+", stem)):
            _note(weights, word, 10)
        _weigh(stem.replace("_", " "), weights, 10)
    for place, word in enumerate(usual[: limits.PASSWORDS]):
        _note(weights, word, 45 - place)
    best = sorted(weights, key=lambda word: -weights[word])  # stable: those that come first
    return best[: limits.PASSWORDS]


def _weigh(text: str, weights: dict[str, int], more: int) -> None:
    """Note the words of a text with their weights, and more to each."""
    for number, keyword in enumerate(_KEYWORD.finditer(text)):
        if number == _KEYWORDS:
            break
        for word, weight in _behind(text[keyword.end() : keyword.end() + _BEHIND]):
            _note(weights, word, weight + more)
    for quoted in _QUOTED.finditer(text):
        _note(weights, quoted[1].strip(), 40 + more)
    for line in text.splitlines():
        words = line.split()
        for word in words:
            _note(weights, word, (25 if len(words) == 1 else 0) + more)


def _behind(text: str) -> Iterator[tuple[str, int]]:
    """(word, weight) of what follows a word that means password: `: word`, ` is word`, or some words later."""
    line = text.lstrip(" \t:=：-–—>*\"'").partition("\n")[0].strip()
    if line and text.lstrip(" \t")[:1] in ("=", ":", "："):
        yield line, 80  # of several words, perhaps
    at = 0
    for place, found in enumerate(re.finditer(r"\S+", text)):
        if place == _WORDS_BEHIND:
            break
        pointed = 40 if _POINTS_AT.search(text, max(0, at - 16), found.start()) else 0
        yield found[0], 90 + pointed - 5 * place
        at = found.end()
        head, mark, tail = found[0].partition(":")
        if mark and tail:  # password:word, without space
            yield tail, 95 + pointed
        elif not head:
            at -= 1


def _note(weights: dict[str, int], word: str, weight: int) -> None:
    word = word.lstrip(":=：")
    bare = word.strip(_QUOTES).rstrip(_TRAILING).strip(_QUOTES)
    for one, less in ((bare, 0), (word, 1)):
        if one and len(one.encode("utf-8", "replace")) <= limits.PASSWORD_LEN:
            points = weight - less + _look(one)
            if points > weights.get(one, 0):
                weights[one] = points


def _look(word: str) -> int:
    """How much a word looks like a password."""
    digits = sum(char.isdigit() for char in word)
    letters = sum(char.isalpha() for char in word)
    points = 0
    if "://" in word or ("@" in word[1:] and "." in word):
        points -= _PRETTY  # addresses are in every mail
    elif (digits and letters) or digits >= 4 or (letters and len(word) - letters - digits and len(word) > 4):
        points += _PRETTY
    elif any(char.isupper() for char in word[1:]) and not word.isupper():
        points += _PRETTY // 2
    return points - (40 if len(word) < 3 else 0)
