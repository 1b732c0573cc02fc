"""What waits in the slow and hold queues, to look at (HOLD-01)."""

from typing import Final

from starlette.responses import Response

from control.actor import Scope
from control.page import Visit, page
from control.waiting import QueueReader
from engine.queue.state import HOLD, SLOW


def show(visit: Visit) -> Response:
    reader = QueueReader(visit.context.layout)
    return visit.render("queues.html", slow=reader.read(SLOW), hold=reader.read(HOLD))


routes: Final = [page("/queues/overview", Scope.QUEUES, show)]
