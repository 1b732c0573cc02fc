"""The certificate of pages and STARTTLS: request, installation, state, and issue by ACME (CERT-01..09)."""

from collections.abc import Callable
from typing import Annotated, TypeVar

from msgspec import Meta

from control.actor import Scope
from control.certificates import lookup
from control.certificates.keeper import Done
from control.certificates.material import MATERIAL_LEN, PASSWORD_LEN, Unfit
from control.certificates.request import ADVICE, NAMES, Fields, KeyKind, check, countries
from control.certificates.warning import warning
from control.operation import (
    Answer,
    Call,
    Conflict,
    Download,
    Input,
    Invalid,
    Mistake,
    NotFound,
    Nothing,
    Unavailable,
    operation,
)
from control.operations.certificate_answers import (
    InstalledCertificate,
    PendingRequest,
    RequestMade,
    installed_answer,
    request_answer,
)

OBJECT = "TLS certificate"
T = TypeVar("T")
Word = Annotated[str, Meta(max_length=300)]
_UPLOAD_LEN = 3 * MATERIAL_LEN  # a file in base64, text, and what JSON makes of them


class AcmeState(Answer, frozen=True):
    """problem: why the last attempt failed. again_at: when it is tried again, seconds since 1970; 0 for at once."""

    enabled: bool
    directory: str
    problem: str
    failures: int
    again_at: int


class CertificateStatus(Answer, frozen=True):
    """installed: None if there is none that can be read. warning: what needs attention, with the next step."""

    installed: InstalledCertificate | None
    previous: InstalledCertificate | None
    request: PendingRequest | None
    acme: AcmeState
    host_names: tuple[str, ...]
    warning: str


class Country(Answer, frozen=True):
    code: str
    name: str


class RequestChoices(Answer, frozen=True):
    """What a request may say: the countries, and the names that are added by themselves."""

    countries: list[Country]
    host_names: tuple[str, ...]
    advice: str


class NewRequest(Input, frozen=True):
    """names: further hosts and addresses. replace: also while another request waits, whose key is then gone."""

    common_name: Word
    organization: Word
    state: Word
    country: Word
    unit: Word = ""
    locality: Word = ""
    email: Annotated[str, Meta(max_length=320)] = ""
    names: Annotated[tuple[Word, ...], Meta(max_length=NAMES + 1)] = ()
    key: KeyKind = KeyKind.EC
    replace: bool = False


class CertificateMaterial(Input, frozen=True):
    """certificate: PEM, with its chain. key: PEM, if it was not made here. file: either of them, DER, PKCS#7 or
    PKCS#12. password: of a key or a PKCS#12 file.
    """

    certificate: Annotated[str, Meta(max_length=MATERIAL_LEN)] = ""
    key: Annotated[str, Meta(max_length=MATERIAL_LEN)] = ""
    file: Annotated[bytes, Meta(max_length=MATERIAL_LEN)] = b""
    password: Annotated[str, Meta(max_length=PASSWORD_LEN)] = ""


class InstallationResult(Answer, frozen=True):
    """remarks: what may be as it should be, and is worth a look."""

    installed: InstalledCertificate
    remarks: tuple[str, ...]


@operation("GET", "/certificates", Scope.CERTIFICATES)
def read(call: Call, given: Nothing) -> CertificateStatus:
    """The certificate in force, the one before it, a request that waits, and how ACME does."""
    context = call.context
    settings, memory = context.settings().web.acme, context.renewal.memory
    now = context.clock()
    installed = context.certificates.installed()
    return CertificateStatus(
        installed=installed_answer(installed, now),
        previous=installed_answer(context.certificates.previous(), now),
        request=request_answer(context.certificates.waiting()),
        acme=AcmeState(
            enabled=settings.enabled,
            directory=settings.directory,
            problem=memory.problem if settings.enabled else "",
            failures=memory.failures,
            again_at=round(memory.again_at) if settings.enabled and memory.problem else 0,
        ),
        host_names=context.certificates.host_names(),
        warning=warning(installed, settings, memory.problem, now),
    )


@operation("GET", "/certificates/request/choices", Scope.CERTIFICATES)
def choices(call: Call, given: Nothing) -> RequestChoices:
    """What a request may say."""
    return RequestChoices(
        countries=[Country(code=code, name=name) for code, name in countries()],
        host_names=call.context.certificates.host_names(),
        advice=ADVICE,
    )


@operation("POST", "/certificates/request", Scope.CERTIFICATES_WRITE, errors=(Conflict, Invalid, Unavailable))
def request(call: Call, given: NewRequest) -> RequestMade:
    """Make a private key and the request for a certificate.

    The key stays on the server. Send the request to the authority, and install what it answers with.
    """
    keeper = call.context.certificates
    fields = Fields(**{name: getattr(given, name) for name in Fields.__struct_fields__})
    _done(lambda: check(fields))
    if not given.replace and (waiting := keeper.waiting()) is not None:
        raise Conflict(
            f"A request of {waiting.made:%Y-%m-%d} still waits for its certificate, and a new one takes its place:"
            " the answer to it could not be installed any more. Say replace to make a new one all the same."
        )
    made = _done(lambda: keeper.ask(fields))
    call.modified(OBJECT, f"requested for {', '.join(made.names)}")
    found = request_answer(made)
    assert found is not None
    return RequestMade(request=found, remark=lookup.remark(made.names[0], call.context.settings().dns.servers))


@operation("GET", "/certificates/request", Scope.CERTIFICATES, errors=(NotFound,))
def download(call: Call, given: Nothing) -> Download:
    """The request that waits, as a file for the authority."""
    waiting = call.context.certificates.waiting()
    if waiting is None:
        raise NotFound("No request waits for its certificate. Make one first.")
    return Download(name="request.pem", media_type="application/x-pem-file", content=iter([waiting.pem.encode()]))


@operation("DELETE", "/certificates/request", Scope.CERTIFICATES_WRITE, errors=(NotFound, Unavailable))
def withdraw(call: Call, given: Nothing) -> None:
    """Remove the request that waits, and its private key."""
    if not _done(call.context.certificates.forget_request):
        raise NotFound("No request waits for its certificate, so there is nothing to remove.")
    call.modified(OBJECT, "request withdrawn, its key removed")


@operation(
    "POST",
    "/certificates/install",
    Scope.CERTIFICATES_WRITE,
    errors=(Conflict, Invalid, Unavailable),
    body_len=_UPLOAD_LEN,
)
def install(call: Call, given: CertificateMaterial) -> InstallationResult:
    """Put a certificate in force, for the pages and for STARTTLS, without a restart.

    It belongs to the key that was made with the request, to the one in use, or to one that is given along with it.
    Whatever is refused leaves the one in force as it is.
    """
    _not_with_acme(call)
    octets = _material(given)
    done = _done(lambda: call.context.certificates.install(octets, given.password), "file" if given.file else "")
    return _result(call, done, "installed")


@operation("POST", "/certificates/restore", Scope.CERTIFICATES_WRITE, errors=(Conflict, Invalid, Unavailable))
def restore(call: Call, given: Nothing) -> InstallationResult:
    """Go back to the certificate before the one in force."""
    _not_with_acme(call)
    return _result(call, _done(call.context.certificates.restore), "restored")


@operation("POST", "/certificates/renew", Scope.CERTIFICATES_WRITE, errors=(Conflict, Unavailable), status=202)
def renew(call: Call, given: Nothing) -> AcmeState:
    """Ask the authority by ACME now, and not only when the pause after a failure is over.

    What comes of it is in the state of certificates a little later.
    """
    if not call.context.settings().web.acme.enabled:
        raise Conflict("Certificates by ACME are switched off. Switch them on first.")
    _done(call.context.renewal.ask_now)
    call.modified(OBJECT, "asked for by ACME")
    return read(call, given).acme


def _not_with_acme(call: Call) -> None:
    if call.context.settings().web.acme.enabled:
        raise Conflict("Certificates come by ACME, which would replace this one at once. Switch ACME off first.")


def _material(given: CertificateMaterial) -> bytes:
    if given.file and given.certificate.strip():
        text = "is given twice, as text and as a file: give one of the two"
        raise Invalid(f"The certificate {text}.", (Mistake("file", text),))
    octets = given.file or given.certificate.encode()
    return octets + b"\n" + given.key.encode() if given.key.strip() else octets


def _done(act: Callable[[], T], came_as: str = "") -> T:
    """came_as: the field that the certificate came in, if not as text. Raises Invalid, Unavailable."""
    try:
        return act()
    except Unfit as error:
        places = {"certificate": came_as or "certificate"}
        mistakes = tuple(Mistake(places.get(place, place), text) for place, text in error.problems)
        place, text = error.problems[0]
        raise Invalid(f"The {place.replace('_', ' ')} {text}.", mistakes) from None
    except OSError as error:
        reason = error.strerror or str(error)
        text = f"The directory tls cannot be read or written ({reason}): check its rights and the free space."
        raise Unavailable(f"{text} Nothing was changed.") from None


def _result(call: Call, done: Done, how: str) -> InstallationResult:
    found = installed_answer(done.installed, call.context.clock())
    assert found is not None
    expires = f"{done.installed.expires:%Y-%m-%d}"
    call.modified(OBJECT, f"{how}: {found.subject}, by {found.issuer}; expires {expires}; {found.fingerprint[:23]}")
    return InstallationResult(installed=found, remarks=done.remarks)
