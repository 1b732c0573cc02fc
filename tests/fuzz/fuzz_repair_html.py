"""Repair of HTML: whatever the page, what comes out has nothing left that acts and is not longer; nothing is raised."""

from engine.repair import html
from tests.engine.repair.pages import READ, RUNS

SEEDS: list[bytes] = [
    *RUNS,
    b"".join(READ),
    b"<?xml version='1.0'?><!DOCTYPE svg [<!ENTITY a 'b'>]><svg><script><![CDATA[x]]></script></svg>",
    "<html><script>x</script>".encode("utf-16"),
    "<p>\u65e5\u672c\u8a9e<script>x</script></p>".encode("iso2022_jp"),
]


def one_input(data: bytes) -> None:
    for clean in (html.cleaned, html.cleaned_wide):
        found = clean(data)
        if found is not None:
            assert found.done and len(found.content) <= len(data)
            assert clean is not html.cleaned or html.cleaned(found.content) is None
