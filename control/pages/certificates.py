"""The window Certificates with its three parts: Request, Install, Status (CERT-01)."""

from typing import Any, Final

from starlette.responses import Response

from control.actor import Scope
from control.certificates.material import MATERIAL_LEN
from control.certificates.request import KeyKind
from control.form import FORM_LEN, File
from control.operation import Conflict, Invalid, Mistake, Nothing, Refused
from control.operations import certificates as operations
from control.page import Visit, form, page

HOME: Final = "/configuration/setup/certificates"
REQUEST: Final = f"{HOME}/request"
INSTALL: Final = f"{HOME}/install"
_FIELDS: Final = ("common_name", "organization", "unit", "locality", "state", "country", "email")
_SOURCES: Final = {
    "self-made": "made by Mailward at its first start",
    "request": "issued for a request made here",
    "upload": "installed with its private key",
    "acme": "issued by ACME",
    "": "put there by hand",
}


def show(visit: Visit) -> Response:
    found = operations.read(visit.call, Nothing())
    return visit.render("certificates/status.html", found=found, sources=_SOURCES, now=round(visit.context.clock()))


def show_request(visit: Visit) -> Response:
    return _request(visit, None)


def make_request(visit: Visit) -> Response:
    wanted = {name: visit.fields.get(name).strip() for name in _FIELDS}
    names = tuple(visit.fields.get("names").split())
    try:
        given = operations.NewRequest(**wanted, names=names, key=_key(visit.fields.get("key")), replace=visit.confirmed)
        made = operations.request(visit.call, given)
    except Invalid as error:
        return _request(visit, error)
    except Conflict:
        text = (
            "A request still waits for its certificate. A new one takes its place, and the answer to the old one can"
            " not be installed any more."
        )
        return visit.confirm("Make a new request?", text, "Make a new one", REQUEST)
    done = "The private key and the request are made. Send the request to the authority."
    return visit.done(REQUEST, f"{done} {made.remark}".strip())


def _request(visit: Visit, error: Invalid | None) -> Response:
    found = operations.read(visit.call, Nothing())
    choices = operations.choices(visit.call, Nothing())
    values = {name: visit.fields.get(name) for name in (*_FIELDS, "names", "key")}
    if not visit.fields.pairs and found.host_names:
        values["common_name"] = found.host_names[0]
    return visit.render(
        "certificates/request.html", _status(error), found=found, choices=choices, values=values, wrong=_wrong(error)
    )


def withdraw(visit: Visit) -> Response:
    if not visit.confirmed:
        text = "Its private key goes with it: an answer of the authority to this request can not be installed any more."
        return visit.confirm("Remove the request?", text, "Remove it", REQUEST)
    operations.withdraw(visit.call, Nothing())
    return visit.done(REQUEST, "The request and its private key are removed.")


def download(visit: Visit) -> Response:
    return visit.download(operations.download(visit.call, Nothing()))


def show_install(visit: Visit) -> Response:
    return _install(visit, None)


def install(visit: Visit) -> Response:
    fields = visit.fields
    nothing = File("", b"")
    try:
        file = fields.files.get("file", nothing).content
        if len(file) > MATERIAL_LEN:
            text = f"is larger than {MATERIAL_LEN // 1024} KB: give one certificate with its chain only"
            raise Invalid(f"The file {text}.", (Mistake("file", text),))
        key = fields.get("key").strip() or _text(fields.files.get("key_file", nothing).content)
        done = operations.install(
            visit.call,
            operations.CertificateMaterial(
                certificate=fields.get("certificate"), key=key, file=file, password=fields.get("password")
            ),
        )
    except Refused as error:
        return _install(visit, error)
    return visit.done(HOME, " ".join(("The certificate is installed and in force.", *done.remarks)))


def _install(visit: Visit, error: Refused | None) -> Response:
    found = operations.read(visit.call, Nothing())
    return visit.render(
        "certificates/install.html",
        _status(error),
        found=found,
        certificate=visit.fields.get("certificate"),
        wrong=_wrong(error),
        message=error.text if error and not error.mistakes else "",
    )


def restore(visit: Visit) -> Response:
    if not visit.confirmed:
        text = (
            "The certificate before the present one comes into force again, and the present one is kept in its place."
        )
        return visit.confirm("Go back to the certificate before?", text, "Go back", HOME, danger=False)
    done = operations.restore(visit.call, Nothing())
    return visit.done(HOME, f"The certificate of {done.installed.subject} is in force again.")


def renew(visit: Visit) -> Response:
    operations.renew(visit.call, Nothing())
    return visit.done(HOME, "The authority is being asked. Look at this page again in a minute.")


def _key(text: str) -> KeyKind:
    return KeyKind.RSA if text == KeyKind.RSA else KeyKind.EC


def _text(octets: bytes) -> str:
    """A key that was uploaded: PEM is ASCII, and what is not will not be understood as a key either."""
    return octets.decode("ascii", "replace")[:MATERIAL_LEN]


def _wrong(error: Refused | None) -> dict[str, str]:
    """What is the matter with which field of the form."""
    return {mistake.place: mistake.text for mistake in error.mistakes} if error else {}


def _status(error: Refused | None) -> int:
    return error.status if error else 200


routes: Final[list[Any]] = [
    page(HOME, Scope.CERTIFICATES, show),
    page(REQUEST, Scope.CERTIFICATES, show_request),
    form(REQUEST, Scope.CERTIFICATES_WRITE, make_request),
    form(f"{REQUEST}/remove", Scope.CERTIFICATES_WRITE, withdraw),
    page(f"{REQUEST}/file", Scope.CERTIFICATES, download),
    page(INSTALL, Scope.CERTIFICATES, show_install),
    form(INSTALL, Scope.CERTIFICATES_WRITE, install, length=3 * MATERIAL_LEN + FORM_LEN, uploads=True),
    form(f"{HOME}/restore", Scope.CERTIFICATES_WRITE, restore),
    form(f"{HOME}/renew", Scope.CERTIFICATES_WRITE, renew),
]
