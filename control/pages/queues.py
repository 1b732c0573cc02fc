"""What waits in the slow and hold queues, to look at (HOLD-01)."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from control.sessions import Session
from control.waiting import QueueReader
from control.web import admin_page, context_of, render
from engine.queue.state import HOLD, SLOW


def page(request: Request, session: Session) -> Response:
    reader = QueueReader(context_of(request).layout)
    return render(request, "queues.html", session, slow=reader.read(SLOW), hold=reader.read(HOLD))


routes: Final = [Route("/queues", admin_page(page), methods=["GET"])]
