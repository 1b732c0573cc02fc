"""One certificate by ACME (RFC 8555): account, order, challenges by HTTP, issue.

The authority looks for each name at port 80 of it, where Mailward does not listen (HTTP-03): a firewall forwards that
port to the one of the unencrypted pages.

Known gaps: no external account binding; no challenge but http-01, so no wildcards.
"""

import datetime
import ssl
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import acme.challenges
import acme.client
import acme.errors
import acme.messages
import josepy.errors
import josepy.jwa
import josepy.jwk
import msgspec
import requests
from cryptography import x509
from cryptography.hazmat.primitives import serialization

import engine
from control.certificates import request
from control.certificates.account import Account, NotIssued
from control.certificates.challenges import Challenges
from control.certificates.material import PrivateKey
from engine.config import Acme
from engine.policy.metatags import clean

ANSWER_S: Final = 20  # of the authority to one request
ISSUE_S: Final = 120  # for it to look at all names and to issue
REASON_LEN: Final = 400  # characters, of which the authority may write most
_FORWARD: Final = (
    "The authority has to reach http://NAME/ on port 80 from outside: forward that port to the one of the unencrypted"
    " pages."
)


class Issued(msgspec.Struct, frozen=True):
    """pem: the certificate with its chain."""

    key: PrivateKey
    pem: bytes


def new_account(directory: str) -> Account:
    return Account(directory, request.pem_of(request.new_key(request.KeyKind.EC)).decode())


def issue(
    settings: Acme,
    names: Sequence[str],
    account: Account,
    keep: Callable[[Account], None],
    challenges: Challenges,
    authorities: Path | None = None,
) -> Issued:
    """Ask for a certificate for these names. Blocks for as long as ISSUE_S.

    keep: is given the account as soon as it is registered. authorities: who vouches for the authority's own server.
    Raises NotIssued, and OSError from keep.
    """
    try:
        client = _client(settings, account, authorities)
        _log_on(client, settings, account, keep)
        return _ordered(client, names, challenges)
    except acme.messages.Error as error:
        if error.code == "accountDoesNotExist":  # it was removed there, or the server was set up anew
            keep(msgspec.structs.replace(account, uri=""))
        raise NotIssued(clean(_reason(error, settings.directory), REASON_LEN)) from error
    except (acme.errors.Error, josepy.errors.Error, requests.RequestException, ValueError, KeyError) as error:
        raise NotIssued(clean(_reason(error, settings.directory), REASON_LEN)) from error


def _client(settings: Acme, account: Account, authorities: Path | None) -> acme.client.ClientV2:
    key = josepy.jwk.JWKEC(key=serialization.load_pem_private_key(account.key.encode(), None))
    paths = ssl.get_default_verify_paths()
    trusted: Any = str(authorities or paths.cafile or paths.capath)  # as the library under that library takes it
    network = acme.client.ClientNetwork(
        key, alg=josepy.jwa.ES256, verify_ssl=trusted, user_agent=f"Mailward/{engine.VERSION}", timeout=ANSWER_S
    )
    return acme.client.ClientV2(acme.client.ClientV2.get_directory(settings.directory, network), network)


def _log_on(client: acme.client.ClientV2, settings: Acme, account: Account, keep: Callable[[Account], None]) -> None:
    """Register, or find what is registered for the key."""
    wanted = acme.messages.NewRegistration.from_data(
        email=settings.email or None, terms_of_service_agreed=settings.terms_agreed
    )
    if account.uri:
        client.net.account = acme.messages.RegistrationResource(body=acme.messages.Registration(), uri=account.uri)
        return
    try:
        uri = client.new_account(wanted).uri
    except acme.errors.ConflictError as found:
        uri = found.location
        client.net.account = acme.messages.RegistrationResource(body=acme.messages.Registration(), uri=uri)
    keep(msgspec.structs.replace(account, uri=uri))


def _ordered(client: acme.client.ClientV2, names: Sequence[str], challenges: Challenges) -> Issued:
    key = request.new_key(request.KeyKind.EC)
    asked = request.signed(key, x509.Name([]), names).public_bytes(serialization.Encoding.PEM)
    order = client.new_order(asked)
    put = []
    try:
        for challenge in _to_answer(order):
            response, answer = challenge.response_and_validation(client.net.key)
            token = challenge.chall.encode("token")
            challenges.put(token, answer)
            put.append(token)
            client.answer_challenge(challenge, response)
        done = client.poll_and_finalize(order, datetime.datetime.now() + datetime.timedelta(seconds=ISSUE_S))
    finally:
        for token in put:
            challenges.remove(token)
    return Issued(key, done.fullchain_pem.encode())


def _to_answer(order: acme.messages.OrderResource) -> Iterator[acme.messages.ChallengeBody]:
    for authorization in order.authorizations:
        body = authorization.body
        if body.status == acme.messages.STATUS_VALID:
            continue
        found = next((one for one in body.challenges if isinstance(one.chall, acme.challenges.HTTP01)), None)
        if found is None:
            raise ValueError(f"the authority does not check {body.identifier.value} by HTTP, the only way known here")
        yield found


def _reason(error: Exception, directory: str) -> str:
    match error:
        case acme.errors.ValidationError():
            return f"{'; '.join(_failures(error))}. {_FORWARD}"
        case acme.errors.IssuanceError():
            return str(error.error.detail or error.error)
        case acme.messages.Error():
            return str(error.detail or error.description or error)
        case acme.errors.TimeoutError():
            return f"The authority did not decide within {ISSUE_S} seconds."
        case requests.exceptions.SSLError():
            return (
                f"{directory} has a certificate that this server does not trust: name the authority behind it under"
                " web.acme.authorities."
            )
        case requests.RequestException():
            return f"{directory} does not answer ({type(error).__name__}): check the address and the way out."
    return f"{directory} answered in a way that is not understood: {error}"


def _failures(error: acme.errors.ValidationError) -> Iterator[str]:
    """What the authority says of each name that it did not believe."""
    for authorization in error.failed_authzrs:
        details = [str(one.error.detail) for one in authorization.body.challenges if one.error is not None]
        yield f"{authorization.body.identifier.value}: {', '.join(details) or 'not believed'}"
