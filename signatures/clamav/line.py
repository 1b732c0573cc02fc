"""What the line formats have in common."""

import re

from signatures import offsets
from signatures.hexpattern import Element, Octets, PatternError, parse
from signatures.model import ANY, ANY_ZIP, Condition, Literal, Start, SubPattern

OUR_LEVEL = 230  # functionality level that lines for newer and older engines are measured by
PATTERN_LEN = 4096  # MW_PATTERN_LEN
SHORTEST_LITERAL = 4
TARGETS = {
    "0": "any",
    "1": "pe",
    "2": "ole",
    "3": "html",
    "4": "mail",
    "5": "png,gif,jpeg,tiff,bmp",
    "6": "elf",
    "7": "text,html,mail,script",
    "9": "macho",
    "10": "pdf",
    "11": "swf",
    "12": "java",
}
# What the walker opens, by the names of ClamAV.
CONTAINERS = {
    "ZIP": ANY_ZIP, "RAR": "rar", "7Z": "7z", "GZ": "gzip", "BZ": "bzip2", "XZ": "xz", "POSIX_TAR": "tar",
    "OLD_TAR": "tar", "MSCAB": "cab", "MSOLE2": "ole", "RTF": "rtf", "PDF": "pdf", "MAIL": "mail", "MHTML": "mail",
    "TNEF": "tnef", "ISO9660": "iso", "EGG": "egg", "ALZ": "alz", "OOXML_WORD": "docx", "OOXML_XL": "xlsx",
    "OOXML_PPT": "pptx", "ONENOTE": "onenote", "LHA_LZH": "lha", "CPIO_NEWC": "cpio", "CPIO_ODC": "cpio",
}  # fmt: skip
NORMALISED = ("3", "7")  # ClamAV matches these against text in lower case
_NAME = re.compile(r"[\x21-\x7e]{1,256}")


class NotTaken(Exception):
    """Why a line is not taken; varying parts of the reason stand in double quotes."""


def name(text: str) -> str:
    """The name, blanks in it as "_": reports and fields of messages show it as one word."""
    word = text.replace(" ", "_")
    if not _NAME.fullmatch(word):
        raise NotTaken("name with unusual characters" if text else "no name")
    return word


def check_level(least: str = "", most: str = "") -> None:
    """Lines are kept for the engines of a range of levels."""
    if (least and not least.isdigit()) or (most and not most.isdigit()):
        raise NotTaken(f'"{least}-{most}" is no range of engine levels')
    if most and int(most) < OUR_LEVEL - 30:
        raise NotTaken("for older engines only")


def target(number: str) -> str:
    if number not in TARGETS:
        raise NotTaken(f'target "{number}" is not known')
    return TARGETS[number]


def container(type_name: str) -> str:
    """What content has to lie in, by ClamAV's name of a type."""
    if type_name == "CL_TYPE_ANY":
        return ANY
    found = CONTAINERS.get(type_name.removeprefix("CL_TYPE_"))
    if found is None:
        raise NotTaken(f'container "{type_name}" is not opened; let policy block files of that type instead')
    return found


def start(text: str) -> Start:
    """An offset, as signatures/offsets.py reads it."""
    try:
        return offsets.parse(text)
    except PatternError as e:
        raise NotTaken(str(e)) from None


def elements(text: str) -> tuple[Element, ...]:
    try:
        return parse(text)
    except PatternError as e:
        raise NotTaken(f"pattern: {e}") from None


def simple(condition: Condition) -> Literal | Condition:
    """A condition that is nothing but a literal somewhere, as a literal."""
    match condition:
        case Condition((SubPattern((Octets(octets),), nocase, True, False, False, Start("anywhere")),), logic, 0, most):
            plain = condition.container == ANY and most == (1 << 64) - 1 and type(logic).__name__ == "Sub"
            if plain and SHORTEST_LITERAL <= len(octets) <= PATTERN_LEN:
                return Literal(octets, nocase)
    return condition
