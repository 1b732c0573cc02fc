"""What hides or turns text is shown, in texts of strangers (subject, addresses, file names, header fields)."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.web import age_text, visible, when_text


@given(st.text(st.characters(codec=None)))
def test_nothing_stays_hidden(text: str) -> None:
    shown = visible(text)
    assert all(unicodedata.category(one) not in ("Cc", "Cf", "Co", "Cn", "Cs", "Zl", "Zp") for one in shown)
    assert shown.encode().decode() == shown, "halves of characters cannot be sent"
    assert visible(shown) == shown


@given(st.text(st.characters(categories=["L", "N", "P", "S"], exclude_characters="\u115f\u1160\u3164\uffa0\u2800")))
def test_all_else_is_left_alone(text: str) -> None:
    assert visible(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("invoice\u202efdp.exe", "invoice[U+202E]fdp.exe"),
        ("a\u200bb\u2066c\ufeff", "a[U+200B]b[U+2066]c[U+FEFF]"),
        ("one\r\n two\tthree\u00a0four\u3000five", "one   two three four five"),
        ("\x1b[31m\x00\x85\u2028", "[U+001B][31m[U+0000][U+0085][U+2028]"),
        ("\u3164\u2800\U000e0101", "[U+3164][U+2800][U+E0101]"),
        ("\u05e9\u05dc\u05d5\u05dd \u2764\ufe0f", "\u05e9\u05dc\u05d5\u05dd \u2764\ufe0f"),
    ],
)
def test_examples(text: str, shown: str) -> None:
    assert visible(text) == shown


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59, "59 s"), (60, "1 min"), (3599, "59 min 59 s"), (3600, "1 h"), (86_400 + 3 * 3600, "1 d 3 h")],
)
def test_ages(seconds: int, text: str) -> None:
    assert age_text(seconds) == text


def test_times() -> None:
    assert when_text("") == ""
    assert when_text("2026-03-01T10:00:00.123456+00:00", True)[4:].endswith(":00.123")
    assert len(when_text("2026-03-01T10:00:00Z")) == len("2026-03-01 10:00:00")
