"""Signatures as the compiler sees them, after their source was understood and before they are laid out."""

from dataclasses import dataclass, field, replace
from enum import IntEnum

from signatures.hexpattern import Compare, Element, length
from signatures.logic import Node
from signatures.recipes import Instruction

ANY = "any"
FAMILIES = ("malware", "spam", "trusted")  # the index is the number in the image; trusted: content known to be good
SEVERITIES = ("test", "low", "medium", "high")
# Types by content that a signature may ask for.
TARGETS = (
    ANY, "data", "text", "html", "mail", "script", "rtf", "pdf", "ole", "onenote", "lnk", "chm", "tnef", "swf", "java",
    "pe", "elf", "macho", "png", "gif", "jpeg", "tiff", "bmp", "riff", "ogg", "mp3", "zip", "gzip", "bzip2", "xz",
    "zstd", "lz4", "lzo", "lzip", "compress", "snappy", "tar", "7z", "rar", "cab", "arj", "arc", "iso", "lha", "wim",
    "xar", "ar", "cpio", "rpm", "stuffit", "installshield", "squashfs", "vhd", "vhdx", "vmdk", "egg", "alz", "zpaq",
)  # fmt: skip

# What content may lie in: a type, or one of these, which only their members know.
DOCUMENTS = ("docx", "xlsx", "pptx")
CONTAINERS = (*TARGETS, *DOCUMENTS)
ANY_ZIP = ",".join(("zip", *DOCUMENTS))  # who asks for a zip means documents as well


class Kind(IntEnum):
    LITERAL = 1
    DIGEST = 2
    FILENAME = 3
    CONDITION = 4
    MEMBER = 5


@dataclass(frozen=True, slots=True)
class Literal:
    """Octets that occur anywhere. nocase: ASCII letters match in either case."""

    octets: bytes
    nocase: bool = False

    @property
    def folded(self) -> bool:
        """Whether case matters at all: a literal without letters is an exact one."""
        return self.nocase and self.octets.lower() != self.octets.upper()


DIGESTED = ("content", "section", "imports")


@dataclass(frozen=True, slots=True)
class Digest:
    """The whole content has this digest, and this size unless it is None. kind: md5, sha1 or sha256.

    of: one of DIGESTED; a section of a PE file, or what a PE file imports, may be meant instead.
    """

    kind: str
    digest: bytes
    size: int | None = None
    of: str = "content"


ORIGINS = ("anywhere", "start", "end", "entry", "section", "last section", "in section", "version")  # MW_FROM_*


@dataclass(frozen=True, slots=True)
class Start:
    """Where a sub-pattern may begin: at low, and up to span octets behind it, counted from origin.

    From the end low counts towards the front. Of sections: which one, from 0.
    """

    origin: str = ORIGINS[0]
    low: int = 0
    span: int = 0
    section: int = 0


@dataclass(frozen=True, slots=True)
class SubPattern:
    """wide: as 16-bit text, and also as it stands if plain; fullword: no letter or digit on either side."""

    elements: tuple[Element, ...]
    nocase: bool = False
    plain: bool = True
    wide: bool = False
    fullword: bool = False
    start: Start = Start()


def with_number(sub: SubPattern, compare: Compare) -> SubPattern:
    """The sub-pattern with a number in it: behind it if that is possible, where few places are left to look at."""
    back = length(sub.elements)
    if back is None:
        return replace(sub, elements=(compare, *sub.elements))
    return replace(sub, elements=(*sub.elements, replace(compare, back=back)))


MOST_REGEX = 64 * 1024  # octets


@dataclass(frozen=True, slots=True)
class Regex:
    """A regular expression of octets (PCRE2), tried only where its trigger holds: see logic.When.

    flags: of i s m x A E U g, as cext.automaton.REGEX_FLAGS has them.
    """

    text: bytes
    flags: str = ""
    start: Start = Start()


@dataclass(frozen=True, slots=True)
class ProgramFact:
    """A number that a program (PE, ELF, Mach-O) says of itself lies in least..most. fact: of PROGRAM_FACTS."""

    fact: str
    least: int
    most: int


@dataclass(frozen=True, slots=True)
class Around:
    """The content lies in such a container: of CONTAINERS, joined by commas. depth: 0 is the innermost."""

    container: str
    depth: int


PROGRAM_FACTS = ("entry point", "sections")  # MW_PROGRAM_*
MOST_AROUND = 16  # MW_AROUND
Fact = ProgramFact | Around
Part = SubPattern | Regex | Fact


@dataclass(frozen=True, slots=True)
class Condition:
    """Logic over sub-patterns, in content of size_min to size_max octets. Evaluated on whole content only.

    What counts a Regex is a logic.When, never a logic.Sub.

    container: one of CONTAINERS or several, joined by commas: what the content has to be taken out of.
    """

    subs: tuple[Part, ...]
    logic: Node
    size_min: int = 0
    size_max: int = (1 << 64) - 1
    container: str = ANY


@dataclass(frozen=True, slots=True)
class FileName:
    """A declared file name matches one of these globs (`*`, `?`), in folded case."""

    globs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Member:
    """What a container says of one of its members. Ranges include both ends; None: anything.

    container: as of Condition. expression: what the name has to hold (signatures/expression.py); empty: any name.
    packed: octets in the container. position: as the format counts.
    """

    container: str = ANY
    container_size: tuple[int, int] | None = None
    expression: str = ""
    packed: tuple[int, int] | None = None
    size: tuple[int, int] | None = None
    encrypted: bool | None = None
    position: tuple[int, int] | None = None


Body = Literal | Digest | FileName | Condition | Member


@dataclass(frozen=True, slots=True)
class Signature:
    """specimens match it, cleans do not: octets of a file, or names of files for a FileName. repair: steps that turn
    each specimen into what repaired has at its place.

    target: one of TARGETS or several, joined by commas.
    """

    name: str
    body: Body
    severity: str = "medium"
    family: str = FAMILIES[0]
    target: str = ANY
    specimens: tuple[bytes, ...] = ()
    cleans: tuple[bytes, ...] = ()
    repair: tuple[Instruction, ...] = field(default=(), compare=False)
    repaired: tuple[bytes, ...] = field(default=(), compare=False)
    steps: tuple[str, ...] = field(default=(), compare=False)  # of repair, as they were written
    path: str = field(default="", compare=False)
    line: int = field(default=0, compare=False)

    @property
    def kind(self) -> Kind:
        match self.body:
            case Literal():
                return Kind.LITERAL
            case Digest():
                return Kind.DIGEST
            case FileName():
                return Kind.FILENAME
            case Condition():
                return Kind.CONDITION
            case Member():
                return Kind.MEMBER
