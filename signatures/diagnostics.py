"""What is wrong in a definitions source, said so that its author can mend it: all at once, each with its place."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

SHOWN_LEN = 120  # characters of a source line that are printed


@dataclass(frozen=True, slots=True, order=True)
class SourceError:
    """One mistake. line and column count from 1; column 0: the whole line. width: characters that are meant."""

    path: str
    line: int
    column: int
    message: str
    text: str = ""
    hint: str = ""
    width: int = 1

    def render(self) -> str:
        """Place and message, the source line with carets under it, the hint."""
        lines = [f"{self.path}:{self.line}:{max(self.column, 1)}: error: {self.message}"]
        if self.text.strip():
            gutter = f"{self.line:>5} | "
            shown = self.text.expandtabs(1)
            start = max(0, self.column - SHOWN_LEN // 2) if len(shown) > SHOWN_LEN else 0
            shown = shown[start : start + SHOWN_LEN]
            lines.append(gutter + shown)
            if self.column and self.column - 1 - start <= len(shown):
                room = max(1, len(shown) - (self.column - 1 - start))
                carets = "^" * min(max(self.width, 1), room)
                lines.append(" " * (len(gutter) - 2) + "| " + " " * (self.column - 1 - start) + carets)
        if self.hint:
            lines.append(f"  hint: {self.hint}")
        return "\n".join(lines)


class SourceErrors(Exception):
    """Every mistake that was found, by file, line and column."""

    def __init__(self, errors: Iterable[SourceError]) -> None:
        self.errors = sorted(errors)
        count = len(self.errors)
        super().__init__("\n".join(e.render() for e in self.errors) + f"\n{count} error{'s' * (count != 1)}")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint that names the nearest known word, or all of them if none is near."""
    words = list(known)
    near = difflib.get_close_matches(word, words, 1)
    return f'did you mean "{near[0]}"?' if near else "known: " + ", ".join(words)
