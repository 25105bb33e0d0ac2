"""What anybody can send to the UDP port of a WebRTC connection."""

import asyncio
import re
import socket

import pytest
from aioice import stun

from tests.attack.clients import Attacker, Message, Peer, peer
from tests.attack.conftest import START_S
from tests.bench.server import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")


def port_of(sdp: str) -> tuple[str, int]:
    """Where a side can be reached, in IPv4."""
    found = re.search(r"a=candidate:\S+ 1 udp \S+ ([\d.]+) (\d+) typ host", sdp)
    assert found, sdp
    return found[1], int(found[2])


def secret_of(sdp: str) -> tuple[str, str]:
    """The user name and the password that its STUN messages need."""
    return re.search(r"a=ice-ufrag:(\S+)", sdp)[1], re.search(r"a=ice-pwd:(\S+)", sdp)[1]  # type: ignore[index]


def check(offer: str, answer: str, *without: str) -> bytes:
    """What a client sends to prove that an address is its own."""
    user, password = secret_of(answer)
    message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    fields = {"USERNAME": f"{user}:{secret_of(offer)[0]}", "PRIORITY": 1845501695, "ICE-CONTROLLING": 1}
    message.attributes.update({name: value for name, value in fields.items() if name not in without})
    message.add_message_integrity(password.encode())
    return bytes(message)


def sending_from(address: tuple[str, int]) -> socket.socket:
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.bind(address)
    return sender


async def offered(attacker: Attacker, one: Peer, address: tuple[str, int]) -> tuple[str, str]:
    """An offer whose client is at `address`, which never connects, and the answer."""
    offer = re.sub(r"(a=candidate:\S+ 1 udp \S+) \S+ \d+ ", rf"\1 {address[0]} {address[1]} ", await one.offer())
    response = await attacker.guarded(await attacker.ticket(), offer)
    assert response.status_code == 200, response.text
    return offer, response.json()["sdp"]


async def test_what_comes_before_the_handshake_is_not_kept(attacker: Attacker, server: Server) -> None:
    before = server.memory_mb()
    async with peer() as one:
        _, answer = await offered(attacker, one, ("192.0.2.77", 9))
        there = port_of(answer)
        with sending_from((there[0], 0)) as sender:
            for _ in range(250):
                for _ in range(20):
                    sender.sendto(b"\xff" * 60_000, there)
                await asyncio.sleep(START_S / 500)
        assert server.memory_mb() < before + 100


RECORD = b"\xfe\xfd" + bytes(7)  # of DTLS, after its kind: version, epoch, number
JUNK = [b"", b"\x16", b"\x16" + RECORD + bytes(30), b"\x15" + RECORD + b"\x01\x00\x02\x01\x00", b"\x80", b"\x80\xc8", b"\xff"]


async def test_no_datagram_of_a_stranger_ends_a_call(attacker: Attacker) -> None:
    """Nor one that is the client's own."""
    async with peer() as one:
        session = await attacker.ticket()
        offer = await one.offer()
        response = await attacker.guarded(session, offer)
        answer: Message = response.json()
        await one.accept(answer)
        await one.until("ready")
        there = port_of(answer["sdp"])
        ice = one.sender.transport.transport._connection
        with sending_from((there[0], 0)) as stranger:
            for data in [*JUNK, b"\x00\x01", check(offer, answer["sdp"])[:-3], check(offer, answer["sdp"], "USERNAME")]:
                stranger.sendto(data, there)
                await ice.send(data)
        await asyncio.sleep(0.3)
        one.send("ping")
        await one.until("pong")


async def test_a_client_has_no_addresses_without_end(attacker: Attacker) -> None:
    """For each that it sends a good message from, aioice has a pair of addresses, and a task that looks at it."""
    async with peer() as one:
        before = await attacker.figure("parley_tasks")
        offer, answer = await offered(attacker, one, ("192.0.2.77", 9))
        there, good = port_of(answer), check(offer, answer)
        for number in range(3000):
            with sending_from((there[0], 0)) as sender:
                sender.sendto(good, there)
            if number % 50 == 0:
                await asyncio.sleep(0.005)
        await asyncio.sleep(0.1)
        assert await attacker.figure("parley_tasks") < before + 150


async def test_messages_that_lack_what_they_need_are_left_out(attacker: Attacker) -> None:
    async with peer() as one:
        offer, answer = await offered(attacker, one, ("192.0.2.77", 9))
        there = port_of(answer)
        with sending_from((there[0], 0)) as sender:
            for name in ("USERNAME", "PRIORITY", "ICE-CONTROLLING"):
                sender.sendto(check(offer, answer, name), there)
        await asyncio.sleep(0.3)  # the log is looked at when the test is over
