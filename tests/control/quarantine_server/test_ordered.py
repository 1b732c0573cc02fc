"""How gateways that wait for orders hear of them."""

import asyncio

from control.quarantine_server.ordered import Bell


def test_who_waits_hears_of_the_end_and_who_comes_late_does_not_wait() -> None:
    """QRN-09: a server that stops is not held up by gateways that ask again at once."""

    async def wait() -> None:
        bell = Bell()
        first = asyncio.create_task(bell.wait("gw1", 60.0))
        await asyncio.sleep(0)
        bell.ring("gw2")
        await asyncio.sleep(0)
        assert not first.done()
        bell.close()
        await first
        late = asyncio.create_task(bell.wait("gw1", 60.0))
        await asyncio.sleep(0)
        assert late.done()

    asyncio.run(wait())
