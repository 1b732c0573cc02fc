"""The page of one queued message (HOLD-01): envelope, recipients, header fields, parts, history, actions."""

import contextlib
from typing import Final

from starlette.responses import Response

from control.actor import Scope
from control.operation import NotFound, Refused
from control.operations import messages, queued
from control.operations.messages import OneTracked
from control.operations.queued import OneQueued
from control.page import Visit, page
from control.pages.messages import of_story
from control.pages.queue_words import WORDS


def show(visit: Visit) -> Response:
    smtp_id = str(visit.request.path_params["id"])
    try:
        found = queued.message(visit.call, OneQueued(id=smtp_id))
    except NotFound as error:
        return visit.render("queues/gone.html", 404, smtp_id=smtp_id, text=error.text)
    outline, problem = None, ""
    if visit.actor.may(Scope.CONTENT):
        try:
            outline = queued.outline(visit.call, OneQueued(id=smtp_id))
        except Refused as error:
            problem = error.text
    story = None
    if visit.actor.may(Scope.MESSAGES):
        with contextlib.suppress(NotFound):  # while logging is off
            story = messages.story_of(visit.call, OneTracked(id=smtp_id))
    return visit.render(
        "queues/message.html",
        found=found,
        one=found.message,
        outline=outline,
        problem=problem,
        words=WORDS,
        **of_story(visit, story),
    )


def content(visit: Visit) -> Response:
    return visit.download(queued.content(visit.call, OneQueued(id=str(visit.request.path_params["id"]))))


routes: Final = [
    page("/queues/message/{id}", Scope.QUEUES, show),
    page("/queues/message/{id}/content", Scope.CONTENT, content),
]
