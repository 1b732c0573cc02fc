"""The manual: what each page is for, when to change what, what to look out for. One text for /help and for docs/manual.

A text is a file of `manual/`, in Markdown, called like the page that it is about: `/queues/hold` is explained by
`queues-hold.md` or, if there is none, by `queues.md`. It is our own text, but raw HTML stays off all the same.
"""

import functools
from pathlib import Path
from typing import Final

import msgspec
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

from control.forms.declared import CONTROLS

MANUAL: Final = Path(__file__).parent / "manual"
INDEX: Final = "index"
_MARKDOWN: Final = MarkdownIt("commonmark", {"html": False}).enable("table")


class HelpPage(msgspec.Struct, frozen=True):
    """html: without its heading. section: where it stands in the list of all."""

    name: str
    title: str
    html: Markup

    @property
    def address(self) -> str:
        return "/help" if self.name == INDEX else f"/help/{self.name}"


def names() -> list[str]:
    """Of all texts but the first page."""
    return sorted(path.stem for path in MANUAL.glob("*.md") if path.stem != INDEX)


@functools.cache
def text(name: str) -> HelpPage:
    """Raises KeyError."""
    if name != INDEX and name not in names():
        raise KeyError(f"the manual has no page {name}")
    tokens = _MARKDOWN.parse((MANUAL / f"{name}.md").read_text(encoding="utf-8"))
    assert tokens[0].tag == "h1", f"{name}.md begins with its title"
    title = tokens[1].content
    return HelpPage(name, title, Markup(_MARKDOWN.renderer.render(_linked(tokens[3:]), _MARKDOWN.options, {})))


def _linked(tokens: list[Token]) -> list[Token]:
    """Links between texts lead to their pages. Headings go one step down: the page has its own first one."""
    for token in tokens:
        if token.type == "link_open" and (target := str(token.attrGet("href"))).endswith(".md"):
            token.attrSet("href", f"/help/{target.removesuffix('.md')}")
        _linked(token.children or [])
    return tokens


def help_for(path: str) -> HelpPage:
    """The text about a page of ours; the first page of the manual if there is none."""
    known = names()
    steps = path.strip("/").split("/")
    for end in range(len(steps), 0, -1):
        name = "-".join(steps[:end])
        if name in known:
            return text(name)
    return text(INDEX)


def settings_of(names_: list[str]) -> list[tuple[str, str, str, str]]:
    """(title, name, text, values) of settings, for the page that is about them: said once, where they are declared."""
    found = [CONTROLS[name] for name in names_]
    return [(one.title, one.name, one.text, one.values) for one in found]
