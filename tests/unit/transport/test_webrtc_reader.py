"""A WebRTC connection whose client does not read, or cannot take what is sent."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiortc import InvalidStateError, RTCDataChannel, RTCDataChannelParameters

from app.protocol.messages import Pong
from server.transport.fastrtc_handler import Handler
from server.transport.pending import PendingConnections
from server.transport.webrtc import WebRtcTransport
from server.transport.webrtc_call import MAX_QUEUED
from tests.unit.doubles import Desk


class Channel:
    readyState = "open"  # noqa: N815 (aiortc's name)

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.bufferedAmount = 0

    def send(self, text: str) -> None:
        self.sent.append(text)
        self.bufferedAmount += len(text)


@pytest.fixture
async def line() -> Any:
    desk = Desk()
    line = WebRtcTransport(desk.sessions, desk.settings, PendingConnections(desk.settings.max_sessions))
    yield line
    await line.close()


def test_a_view_that_comes_after_the_call_raises_nothing() -> None:
    """FastRTC says with each view that there is one, and would log a traceback."""
    channel = RTCDataChannel(
        SimpleNamespace(_data_channel_add_negotiated=lambda _: None), RTCDataChannelParameters(negotiated=True, id=1)
    )  # type: ignore[arg-type]
    handler, given = Handler(), SimpleNamespace()
    handler._track = SimpleNamespace(set_channel=lambda one: setattr(given, "channel", one))  # type: ignore[assignment]
    handler.connect(channel)
    assert channel.readyState != "open"
    with pytest.raises(InvalidStateError):
        channel.send("text")
    given.channel.send("text")
    sent: list[str] = []
    handler.connect(SimpleNamespace(readyState="open", send=sent.append))
    given.channel.send("text")
    assert sent == ["text"]


async def test_who_does_not_read_is_cut_off(line: WebRtcTransport) -> None:
    call = line.begin()
    call.channel = channel = Channel()
    while not call.closing:
        call.send(Pong())
        assert channel.bufferedAmount < MAX_QUEUED + 1000, "nothing bounds what waits"
    sent = len(channel.sent)
    call.send(Pong())
    await asyncio.sleep(0)
    assert len(channel.sent) == sent


async def test_a_message_that_the_client_cannot_take_raises_nothing(line: WebRtcTransport) -> None:
    def refuse(text: str) -> None:
        raise ValueError("the remote party only supports messages up to 10 bytes")

    call = line.begin()
    call.channel = SimpleNamespace(readyState="open", bufferedAmount=0, send=refuse)
    call.send(Pong())
    assert not call.closing
