"""Tokens for programs: which there are, and revoking them (ACC-11, HTTP-08)."""

from typing import Annotated

from msgspec import Meta

from control.accounts.tokens import Token
from control.actor import Scope
from control.operation import Answer, Call, Input, NotFound, Nothing, operation

Id = Annotated[str, Meta(max_length=64)]


class TokenEntry(Answer, frozen=True):
    """Times: seconds since 1970; last_used is 0 for never. ended: its time is over."""

    id: str
    user: str
    name: str
    scopes: list[Scope]
    made: int
    expires: int
    ended: bool
    last_used: int
    last_client: str


class TokenList(Answer, frozen=True):
    """The newest first."""

    tokens: list[TokenEntry]


class TokenId(Input, frozen=True):
    """Which token."""

    id: Id


@operation("GET", "/tokens", Scope.ACCOUNTS)
def list_(call: Call, given: Nothing) -> TokenList:
    """The tokens of all accounts."""
    return tokens_of(call, "")


@operation("DELETE", "/tokens/{id}", Scope.ACCOUNTS_WRITE, errors=(NotFound,))
def revoke(call: Call, given: TokenId) -> None:
    """Revoke a token. It is refused from now on."""
    revoke_one(call, given.id, "")


def tokens_of(call: Call, user: str) -> TokenList:
    """user: only of this account; empty for all."""
    return TokenList(tokens=[_token(call, one) for one in call.context.tokens.all(user)])


def revoke_one(call: Call, id_: str, user: str) -> None:
    """Raises NotFound."""
    token = call.context.tokens.revoke(id_, user)
    if token is None:
        raise NotFound("This token is not there any more: it was revoked in the meantime.")
    call.modified(f"token {token.name} of {token.user}", "revoked")


def _token(call: Call, token: Token) -> TokenEntry:
    return TokenEntry(
        id=token.id,
        user=token.user,
        name=token.name,
        scopes=sorted(token.scopes),
        made=int(token.made),
        expires=int(token.expires),
        ended=token.expires <= call.context.clock(),
        last_used=int(token.last_used),
        last_client=token.last_client,
    )
