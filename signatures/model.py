"""Signatures as the compiler sees them, after their source was understood and before they are laid out."""

from dataclasses import dataclass, field
from enum import IntEnum

ANY = "any"
FAMILIES = ("malware", "spam")  # the index is the number in the image
SEVERITIES = ("test", "low", "medium", "high")
# Types by content that a signature may ask for.
TARGETS = (
    ANY, "data", "text", "html", "mail", "script", "rtf", "pdf", "ole", "onenote", "lnk", "chm", "tnef", "swf", "java",
    "pe", "elf", "macho", "png", "gif", "jpeg", "tiff", "bmp", "riff", "ogg", "mp3", "zip", "gzip", "bzip2", "xz",
    "zstd", "lz4", "lzo", "lzip", "compress", "snappy", "tar", "7z", "rar", "cab", "arj", "arc", "iso", "lha", "wim",
    "xar", "ar", "cpio", "rpm", "stuffit", "installshield", "squashfs", "vhd", "vhdx", "vmdk", "egg", "alz", "zpaq",
)  # fmt: skip


class Kind(IntEnum):
    LITERAL = 1
    DIGEST = 2
    FILENAME = 3


@dataclass(frozen=True, slots=True)
class Literal:
    """Octets that occur anywhere. nocase: ASCII letters match in either case."""

    octets: bytes
    nocase: bool = False

    @property
    def folded(self) -> bool:
        """Whether case matters at all: a literal without letters is an exact one."""
        return self.nocase and self.octets.lower() != self.octets.upper()


@dataclass(frozen=True, slots=True)
class Digest:
    """The whole content has this digest, and this size unless it is None. kind: md5, sha1 or sha256."""

    kind: str
    digest: bytes
    size: int | None = None


@dataclass(frozen=True, slots=True)
class FileName:
    """A declared file name matches one of these globs (`*`, `?`), in folded case."""

    globs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Signature:
    """specimens match it, cleans do not: octets of a file, or names of files for a FileName."""

    name: str
    body: Literal | Digest | FileName
    severity: str = "medium"
    family: str = FAMILIES[0]
    target: str = ANY
    specimens: tuple[bytes, ...] = ()
    cleans: tuple[bytes, ...] = ()
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
