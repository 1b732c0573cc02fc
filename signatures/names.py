"""File name patterns: `*`, `?`, and `{pdf,doc}` for alternatives, matched in folded case."""

from itertools import product

from cext.automaton import fold_name

MOST_ALTERNATIVES = 10_000
GLOB_LEN = 256  # octets; MW_GLOB_LEN of cext/include/image.h


class GlobError(ValueError):
    """A glob that cannot be compiled; hint says what would be right."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def _pieces(glob: str) -> list[list[str]]:
    """The glob as a sequence of choices; plain text is a choice of one."""
    pieces: list[list[str]] = []
    rest = glob
    while rest:
        text, brace, rest = rest.partition("{")
        if "}" in text:
            raise GlobError('"}" without "{"')
        pieces.append([text])
        if brace:
            inside, closing, rest = rest.partition("}")
            if not closing:
                raise GlobError('"{" without "}"')
            if "{" in inside:
                raise GlobError("alternatives inside alternatives", "write them out")
            pieces.append([word.strip() for word in inside.split(",")])
    return pieces


def expand(glob: str) -> list[str]:
    """The globs that a source glob stands for, folded, sorted, each once. Raises GlobError and nothing else."""
    pieces = _pieces(glob)
    count = 1
    for choice in pieces:
        count *= len(choice)
    if count > MOST_ALTERNATIVES:
        raise GlobError(f"{count} alternatives", f"at most {MOST_ALTERNATIVES}")
    globs = sorted({fold_name("".join(words)) for words in product(*pieces)})
    for one in globs:
        if not one.strip("*?. "):
            raise GlobError("matches every name" if one else "empty file name", "name at least one character")
        if len(one.encode()) > GLOB_LEN:
            raise GlobError(f"longer than {GLOB_LEN} octets")
    return globs


def suffix_of(glob: str) -> str | None:
    """What a name must end with, if the glob says nothing else: found by look-up, not by trying."""
    rest = glob[1:]
    return rest if glob.startswith("*") and rest and not set(rest) & set("*?") else None
