"""Places: nobody holds one by waiting, and nobody takes more than a share."""

import asyncio
import json
from contextlib import AsyncExitStack

import numpy as np
import pytest
from aiortc import RTCSessionDescription

from tests.attack.clients import Attacker, Flood, Peer, first, peer, socket_at
from tests.attack.conftest import IDLE_S, SESSIONS, SHARE, START_S
from tests.bench.server import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_who_does_not_start_is_ended_on_every_transport(attacker: Attacker, url: str) -> None:
    loop = asyncio.get_running_loop()
    begun = loop.time()
    async with socket_at(url) as silent, socket_at(url) as chatty, peer() as page, peer() as pinging, peer() as mute:
        for name, one in (("silent", page), ("pinging", pinging)):
            await one.accept(await attacker.component({"sdp": await one.offer(), "type": "offer", "webrtc_id": name}))
        assert mute.channel is not None
        mute.channel.close()
        answer = await attacker.component({"sdp": await mute.offer(), "type": "offer", "webrtc_id": "mute"})
        assert answer["sdp"]

        async def chat() -> None:
            while not pinging.closed.is_set():
                pinging.send("ping")
                await chatty.send(json.dumps({"type": "ping"}))
                await asyncio.sleep(0.2)

        chatting = asyncio.create_task(chat())
        assert (await first(silent, "error"))["code"] == "start_timeout"
        assert (await first(chatty, "error"))["code"] == "start_timeout"
        await asyncio.gather(page.ended(), pinging.ended())
        assert page.codes() == pinging.codes() == ["start_timeout"]
        chatting.cancel()
        await attacker.empty()
    assert loop.time() - begun < START_S + 4


async def test_sound_before_the_start_is_kept_nowhere(attacker: Attacker, server: Server) -> None:
    """They connect, open no data channel, and send sound of which a packet says that it lasts for more than a second."""
    before, floods = server.memory_mb(), [Flood() for _ in range(6)]
    async with AsyncExitStack() as stack:
        for n, track in enumerate(floods):
            one = await stack.enter_async_context(peer(track))

            async def never(*_: object) -> None:
                pass

            one.pc.sctp.start = never  # type: ignore[union-attr,method-assign]
            answer = await attacker.component({"sdp": await one.offer(), "type": "offer", "webrtc_id": f"loud{n}"})
            await one.pc.setRemoteDescription(RTCSessionDescription(answer["sdp"], answer["type"]))
            track.wanted.set()
        await asyncio.sleep(START_S)
        await attacker.empty()
        assert all(track.sent > 10 for track in floods), "no sound came"
    assert server.memory_mb() < before + 100


@pytest.mark.parametrize("flights", [0, 1, 10_000])
async def test_a_handshake_that_is_never_done_keeps_no_place(attacker: Attacker, flights: int) -> None:
    """Its addresses are good. Of the DTLS handshake nothing comes, or its beginning, once or over and over."""
    loop = asyncio.get_running_loop()
    async with peer() as one:
        dtls, hello = one.sender.transport, b""
        send = dtls.transport._send

        async def begin(data: bytes) -> None:
            nonlocal hello
            hello = hello or data
            for _ in range(flights):
                await send(hello)
                await asyncio.sleep(0.001)

        dtls.transport._send = begin
        begun = loop.time()
        answer = await attacker.component({"sdp": await one.offer(), "type": "offer", "webrtc_id": f"half{flights}"})
        await one.pc.setRemoteDescription(RTCSessionDescription(answer["sdp"], answer["type"]))
        assert await attacker.figure("parley_waiting") == 1
        await attacker.empty()
        assert loop.time() - begun < START_S + 4
        assert hello if flights else not one.opened.is_set()


@pytest.mark.parametrize("transport", ["websocket", "webrtc"])
async def test_pings_quiet_sound_and_idle_commands_keep_no_place(attacker: Attacker, url: str, transport: str) -> None:
    noises = ("ping", {}), ("interrupt", {}), ("playback_progress", {"generation": 0, "played_ms": 5})
    begun = asyncio.get_running_loop().time()
    if transport == "webrtc":
        async with peer() as one:
            await attacker.call(one)
            while not one.closed.is_set():
                for kind, fields in noises:
                    one.send(kind, **fields)
                await asyncio.sleep(0.2)
                assert asyncio.get_running_loop().time() - begun < 3 * IDLE_S, one.messages[-3:]
            assert one.codes()[-1] == "idle_timeout"
    else:
        async with socket_at(url) as one:
            await one.send(json.dumps({"type": "start", "sample_rate": 16000, "greeting": False}))
            quiet = np.full(3200, 3, "<i2").tobytes()

            async def keep() -> None:
                while True:
                    for kind, fields in noises:
                        await one.send(json.dumps({"type": kind, **fields}))
                    await one.send(quiet)
                    await asyncio.sleep(0.2)

            keeping = asyncio.create_task(keep())
            assert (await first(one, "error"))["code"] == "idle_timeout"
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
    assert asyncio.get_running_loop().time() - begun < IDLE_S + 4


async def test_one_address_has_its_share_and_no_more(attacker: Attacker, url: str) -> None:
    start = json.dumps({"type": "start", "sample_rate": 16000, "greeting": False})
    async with AsyncExitStack() as stack:
        for _ in range(SHARE):
            held = await stack.enter_async_context(socket_at(url, "203.0.113.9, 198.51.100.7"))
            await held.send(start)
            await first(held, "ready")
        more = await stack.enter_async_context(socket_at(url, "192.0.2.1, 198.51.100.7"))
        await more.send(start)
        assert (await first(more, "error", "ready")).get("code") == "too_many", "what the proxy did not write is not believed"
        async with peer() as one:
            session = await attacker.ticket()
            response = await attacker.guarded(session, await one.offer(), **{"X-Forwarded-For": "198.51.100.7"})
            assert (response.status_code, response.json()["error"]["code"]) == (429, "too_many")
        other = await stack.enter_async_context(socket_at(url, "198.51.100.8"))
        await other.send(start)
        assert (await first(other, "error", "ready"))["type"] == "ready"
        assert SHARE + 1 == SESSIONS
        home = await stack.enter_async_context(socket_at(url, "2001:db8:1:2::1"))
        await home.send(start)
        assert (await first(home, "error", "ready"))["code"] == "full"


async def test_one_address_that_waits_pushes_out_only_its_own(attacker: Attacker, url: str) -> None:
    async with AsyncExitStack() as stack:
        patient = await stack.enter_async_context(socket_at(url, "198.51.100.1"))
        crowd = [await stack.enter_async_context(socket_at(url, "198.51.100.2")) for _ in range(30)]
        assert (await first(crowd[0], "error"))["code"] == "crowded"
        assert await attacker.figure("parley_waiting") <= 10
        await patient.send(json.dumps({"type": "start", "sample_rate": 16000, "greeting": False}))
        assert (await first(patient, "error", "ready"))["type"] == "ready"


async def test_a_peer_that_vanishes_leaves_nothing(attacker: Attacker) -> None:
    one = Peer()
    await attacker.call(one)
    for transceiver in one.pc.getTransceivers():  # no goodbye: its sockets are closed under it
        await transceiver.sender.transport.transport._connection.close()
    await attacker.empty()
    await one.pc.close()
