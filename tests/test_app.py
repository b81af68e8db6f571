"""The composition root's own parts."""

import asyncio
import socket

import pytest

from meterhouse.app import Listening, PortTaken
from meterhouse.web.port import open_port


@pytest.fixture
def taken():
    with open_port("127.0.0.1", 0) as held:
        yield held


async def test_an_answer_is_sent_at_once_and_does_not_wait_for_an_acknowledgement(taken):
    server = await asyncio.start_server(lambda reader, writer: met.set_result(writer), sock=taken)
    met = asyncio.get_running_loop().create_future()
    _, writer = await asyncio.open_connection(*taken.getsockname())
    served = (await met).get_extra_info("socket")
    assert served.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
    for one in (writer, await met):
        one.close()
        await one.wait_closed()
    server.close()
    await server.wait_closed()


async def test_a_port_in_use_is_named_together_with_what_wanted_it(taken):
    port = taken.getsockname()[1]
    with pytest.raises(PortTaken, match=f"web cannot listen on 127.0.0.1:{port}"):
        Listening(None, "web", "127.0.0.1", port)
