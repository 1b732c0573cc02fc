"""Further certificates of a server, for the other names that it is reached by (SNI, RFC 6066 s3).

    tls/certificate.pem     for clients that ask for no name, or for one that nobody here has
    tls/names/*.pem         key, certificate, chain, as there; each for the DNS names in it, which may begin with `*.`

Files are read when they are new or changed, so one is renewed by putting it there. One that cannot be used leaves the
one before in use. Of two for the same name, the one that is valid longer counts.

A handshake swaps contexts once the name is known, and OpenSSL then verifies clients by the new one: so whoever asks
clients for certificates needs contexts of its own for this (`prepare`).
"""

import datetime
import os
import ssl
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from cryptography import x509

from engine.certificate import context_of
from engine.definitions import Mark, mark_of
from engine.limits import NAMED_CERTIFICATES

FOLDER: Final = "names"  # below that of certificate.pem
_SUFFIX: Final = ".pem"


def pass_over_odd_names() -> None:
    """For the whole process, once: a name beyond ASCII ends its handshake without a word.

    Python reports it as an exception that nobody can catch, with a traceback for each: a stranger could fill the log.
    """
    before = sys.unraisablehook

    def hook(unraisable: "sys.UnraisableHookArgs") -> None:
        if not (isinstance(unraisable.exc_value, UnicodeDecodeError) and isinstance(unraisable.object, bytes)):
            before(unraisable)

    sys.unraisablehook = hook


class Trouble(NamedTuple):
    path: Path
    reason: str


class _Entry(NamedTuple):
    names: tuple[str, ...]
    ends: datetime.datetime
    context: ssl.SSLContext


class NamedCertificates:
    """Of one folder, which need not be there. `choose` is for SSLContext.sni_callback. Empty until the first `look`."""

    def __init__(self, folder: Path, prepare: Callable[[ssl.SSLContext], None] = lambda context: None) -> None:
        self._folder = folder
        self._prepare = prepare
        self._marks: dict[Path, Mark | None] = {}
        self._entries: dict[Path, _Entry] = {}
        self._by_name: dict[str, ssl.SSLContext] = {}

    def look(self) -> list[Trouble]:
        """Read what has changed. Raises nothing; what is wrong is told once."""
        found: dict[Path, Mark | None] = dict(self._found())
        if found == self._marks:
            return []
        troubles = []
        for path, mark in found.items():
            if mark == self._marks.get(path):
                continue
            try:
                self._entries[path] = self._load(path)
            except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
                kept = "the one before stays in use" if path in self._entries else "it is passed over"
                troubles.append(Trouble(path, f"{error}; {kept}"))
        self._entries = {path: entry for path, entry in self._entries.items() if path in found}
        self._marks = found
        ordered = sorted(self._entries.values(), key=lambda entry: entry.ends)
        self._by_name = {name: entry.context for entry in ordered for name in entry.names}
        return troubles

    def choose(self, tls: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
        """In a handshake: name is what the client asks for, as A-labels."""
        if not name or not self._by_name:
            return
        name = name.lower().rstrip(".")
        context = self._by_name.get(name) or self._by_name.get("*." + name.partition(".")[2])
        if context is not None:
            tls.context = context

    def _found(self) -> Iterator[tuple[Path, Mark | None]]:
        """The first NAMED_CERTIFICATES files by name."""
        try:
            names = sorted(name for name in os.listdir(self._folder) if name.endswith(_SUFFIX))
        except OSError:
            return
        for name in names[:NAMED_CERTIFICATES]:
            path = self._folder / name
            yield path, mark_of(path)

    def _load(self, path: Path) -> _Entry:
        """Raises OSError, ValueError."""
        certificate = x509.load_pem_x509_certificates(path.read_bytes())[0]
        try:
            alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound:
            raise ValueError("the certificate has no subjectAltName: nobody could ask for it") from None
        context = context_of(path)
        self._prepare(context)
        names = tuple(name.lower() for name in alternatives.get_values_for_type(x509.DNSName))
        return _Entry(names, certificate.not_valid_after_utc, context)
