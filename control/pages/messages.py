"""Message tracking (PROC-25): search, and the story of a message in one view."""

from typing import Any, Final
from urllib.parse import urlencode

import msgspec
from starlette.responses import Response

from control.actor import Scope
from control.operation import Invalid, Mistake, NotFound
from control.operations import messages
from control.operations.messages import MessageSearch, OneTracked, RejectedSearch
from control.page import Visit, page

SHOWN: Final = 50
_SEARCH: Final = ("address", "subject", "id", "client", "verdict", "outcome", "since", "until")
_REJECTED: Final = ("address", "client", "since", "until")
VERDICTS: Final = ("clean", "infected", "unscanned", "blocked")
OUTCOMES: Final = {
    "": "nothing yet",
    "delivered": "delivered",
    "dropped": "dropped",
    "held": "held",
    "bounced": "returned to the sender",
    "delivery-failed": "failed",
    "delivery-deferred": "not delivered yet",
    "delivery-suppressed": "not delivered on purpose",
    "forwarding": "being forwarded",
    "forwarded": "forwarded",
    "rejected": "refused while its client waited",
}
GOOD_ENDS: Final = frozenset({"delivered", "forwarded", "completed"})
BAD_ENDS: Final = frozenset({"dropped", "held", "bounced", "delivery-failed", "rejected", "scanner-crashed"})


def search(visit: Visit) -> Response:
    typed = {name: visit.query(name) for name in _SEARCH}
    given = {name: value for name, value in typed.items() if value}
    found, attempts = None, None
    mistakes: dict[str, str] = {}
    try:
        if given or visit.query("before"):
            found = messages.search(visit.call, _asked(visit, given, MessageSearch, "before"))
        else:
            found = messages.search(visit.call, MessageSearch(limit=SHOWN))
        if (given.get("address") or given.get("client")) and given.keys() <= set(_REJECTED):
            attempts = messages.rejected(visit.call, _asked(visit, given, RejectedSearch, "rejected_before"))
    except Invalid as error:
        mistakes = {one.place: one.text for one in error.mistakes}
    return visit.render(
        "messages/search.html",
        422 if mistakes else 200,
        typed=typed,
        given=given,
        found=found,
        attempts=attempts,
        mistakes=mistakes,
        verdicts=VERDICTS,
        outcomes=OUTCOMES,
        first=not visit.query("before") and not visit.query("rejected_before"),
        begin="/messages" + ("?" + urlencode(given) if given else ""),
        next=_address(given, "before", found.next) if found is not None else "",
        further=_address(given, "rejected_before", attempts.next) if attempts is not None else "",
    )


def _asked(visit: Visit, given: dict[str, str], kind: Any, cursor: str) -> Any:
    """Raises Invalid."""
    try:
        return msgspec.convert({**given, "before": visit.query(cursor), "limit": SHOWN}, kind, strict=False)
    except msgspec.ValidationError as error:
        text, _, place = str(error).partition(" - at `$.")
        raise Invalid("This cannot be searched for.", (Mistake(place.strip("`"), f"{text}."),)) from None


def _address(given: dict[str, str], cursor: str, place: str) -> str:
    return "/messages?" + urlencode({**given, cursor: place}) if place else ""


def show(visit: Visit) -> Response:
    smtp_id = str(visit.request.path_params["id"])
    try:
        story = messages.story_of(visit.call, msgspec.convert({"id": smtp_id.upper()}, OneTracked))
    except msgspec.ValidationError:
        raise NotFound(f"“{smtp_id[:40]}” is no SMTP ID: these have 13 characters, 0 to 9 and A to V.") from None
    return visit.render("messages/message.html", **of_story(visit, story))


def of_story(visit: Visit, story: messages.MessageStory | None) -> dict[str, Any]:
    """What the template of a story needs."""
    put_aside = story is not None and any(one.event == "file-quarantined" for one in story.events)
    return {
        "story": story,
        "outcomes": OUTCOMES,
        "good_ends": GOOD_ENDS,
        "bad_ends": BAD_ENDS,
        "put_aside": put_aside and visit.actor.may(Scope.QUARANTINE),
    }


routes: Final = [page("/messages", Scope.MESSAGES, search), page("/messages/{id}", Scope.MESSAGES, show)]
