"""Quoted-printable as mail clients decode it, as one substitution over the whole text."""

import re

ESCAPE = 1
WHITE_LEN = 1024
TOKEN = re.compile(
    rb"""
      (?P<soft> = [ \t]{0,%d} (?: \r\n | \r | \n | \Z ) )
    | = (?P<escape> [0-9A-Fa-f]{2} )
    | (?P<literal> = )
    | (?P<white> [ \t]+ ) (?= [\r\n] | \Z )
    | [ \t]+
    """
    % WHITE_LEN,
    re.VERBOSE,
)


def decode(text: bytes) -> tuple[bytes, int]:
    findings = 0

    def decoded(token: re.Match[bytes]) -> bytes:
        nonlocal findings
        if token["soft"] is not None:
            return b""
        if token["escape"] is not None:
            return bytes.fromhex(token["escape"].decode("ascii"))
        if token["literal"] is not None:
            findings = ESCAPE
        if token["white"] is not None and len(token["white"]) <= WHITE_LEN:
            return b""
        return token.group()

    return TOKEN.sub(decoded, text), findings
