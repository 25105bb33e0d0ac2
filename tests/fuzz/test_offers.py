"""Offers and candidates that went wrong in any way: each is refused in words, or aiortc can answer it, and then the connection is
closed with nothing left behind."""

import asyncio
import random
import re
from contextlib import suppress
from pathlib import Path

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack

from server.transport.offers import BadOffer, candidate_of, check_offer
from server.transport.rtp import shut
from tests.fuzz import SEED, cases
from tests.fuzz.offers import candidate, offer

CASES = cases(1500)
ANSWERED = max(20, CASES // 40)  # of those that are let in, which sockets are opened for
CHROMIUM = (Path(__file__).parents[1] / "attack" / "chromium.sdp").read_bytes().decode()
CHROMIUM = re.sub(r"[\w-]+\.local\b", "192.0.2.7", CHROMIUM)  # for a name in mDNS that nobody has, aiortc waits a second


async def offers() -> list[str]:
    """Whole ones: of Chromium, and of aiortc."""
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    pc.addTrack(AudioStreamTrack())
    pc.createDataChannel("text")
    await pc.setLocalDescription(await pc.createOffer())
    await pc.close()
    return [CHROMIUM, pc.localDescription.sdp]


async def test_an_offer_is_refused_in_words_or_can_be_answered(caplog: pytest.LogCaptureFixture) -> None:
    rng, wholes, taken = random.Random(SEED), await offers(), list[str]()
    for _ in range(CASES):
        sdp = offer(rng, wholes)
        try:
            check_offer(sdp, "offer")
        except BadOffer as error:
            assert str(error) and len(str(error)) < 350
        else:
            taken.append(sdp)
    assert len(taken) > CASES // 5, "hardly any offer is let in"
    before = len(asyncio.all_tasks())
    for sdp in rng.sample(taken, min(ANSWERED, len(taken))):
        pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        try:
            await pc.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
            await pc.setLocalDescription(await pc.createAnswer())
            assert "m=audio" in pc.localDescription.sdp
        except Exception as error:
            error.add_note(sdp)
            raise
        finally:
            await shut(pc)
    await asyncio.sleep(0.1)  # for what closes by itself
    assert len(asyncio.all_tasks()) <= before
    assert "Traceback" not in caplog.text and "never retrieved" not in caplog.text


async def test_a_line_may_end_anywhere() -> None:
    for whole in await offers():
        lines = whole.splitlines(keepends=True)
        for number, line in enumerate(lines):
            for end in {match.start() for match in re.finditer(r"[:/ =;]|\b", line)}:
                with suppress(BadOffer):
                    check_offer("".join([*lines[:number], line[:end] + "\r\n", *lines[number + 1 :]]), "offer")


def test_what_is_no_offer_is_refused_in_words() -> None:
    for sdp, kind in ((None, "offer"), (b"v=0", "offer"), ("", "offer"), ([], "offer"), (CHROMIUM, "answer"), (CHROMIUM, None)):
        with pytest.raises(BadOffer):
            check_offer(sdp, kind)


def test_a_candidate_is_one_or_is_refused_in_words() -> None:
    rng, taken = random.Random(SEED), 0
    for _ in range(CASES * 5):
        said = candidate(rng)
        try:
            found = candidate_of(said)
        except BadOffer as error:
            assert str(error) and len(str(error)) < 350
        else:
            taken += 1
            assert found is None or 0 <= found.port < 65536
    assert taken > CASES, "hardly any candidate is let in"
