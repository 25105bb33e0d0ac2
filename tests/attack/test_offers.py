"""Offers that are wrong: each is refused in words or comes to nothing, and leaves no place taken."""

import re
from itertools import chain
from pathlib import Path

import psutil
import pytest

from tests.attack.clients import Attacker, Peer, peer
from tests.bench.server import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")

CHROMIUM = Path(__file__).with_name("chromium.sdp").read_bytes().decode()
# What a line of a good offer is changed to; where no line matches, the offer has none of it.
BAD = [
    (r"a=group:BUNDLE 0 1", "a=group:BUNDLE 7"),
    (r"a=group:BUNDLE 0 1", "a=group:BUNDLE 7 0 1"),
    (r"a=group:BUNDLE 0 1", "a=group:BUNDLE 0 7"),
    (r"a=group:BUNDLE 0 1", "a=group:BUNDLE 0 0"),
    (r"a=group:BUNDLE 0 1", "a=group:BUNDLE 0 1 1"),
    (r"a=group:BUNDLE 0 1", "a=group:BUNDLE 0\r\na=group:BUNDLE 1"),
    (r"a=mid:1", "a=mid:0"),
    (r"a=mid:0", "a=mid:"),
    (r"a=mid:0", "a=mid"),
    (r"a=mid:0\r\n", ""),
    (r"a=mid:0", "a=mid:" + "m" * 5000),
    (r"a=ice-ufrag:.*\r\n", ""),
    (r"a=ice-pwd:.*\r\n", ""),
    (r"a=ice-pwd:.*", "a=ice-pwd:short"),
    (r"a=ice-ufrag:.*", "a=ice-ufrag:a b"),
    (r"a=fingerprint:.*\r\n", ""),
    (r"a=fingerprint:\S+ .*", "a=fingerprint:md5 00:11"),
    (r"a=fingerprint:\S+ .*", "a=fingerprint:sha-256 00:11"),
    (r"a=fingerprint:\S+ .*", "a=fingerprint:"),
    (r"a=setup:\w+\r\n", ""),
    (r"a=setup:\w+", "a=setup:holdconn"),
    (r"m=audio \d+", "m=audio 0"),
    (r"m=application \d+", "m=application 0"),
    (r"m=audio \d+", "m=audio 99999999999999999999 x"),
    (r"m=audio", "m=video"),
    (r"m=application", "m=audio"),
    (r"UDP/TLS/RTP/SAVPF", "RTP/AVP"),
    (r"(?:UDP/)?DTLS/SCTP", "TCP/TLS"),
    (r"a=sctp-port:.*\r\n", ""),
    (r"a=sctp-port:.*", "a=sctp-port:0"),
    (r"a=sctp-port:.*", "a=sctp-port:70000"),
    (r"a=max-message-size:.*\r\n", ""),
    (r"a=max-message-size:.*", "a=max-message-size:10"),
    (r"a=max-message-size:.*", "a=max-message-size:-1"),
    (r"a=sendrecv", "a=recvonly"),
    (r"a=sendrecv", "a=sendonly"),
    (r"a=sendrecv", "a=inactive"),
    (r"a=rtpmap:\d+ opus/48000/2\r\n", ""),
    (r"opus/48000/2", "opus/8000/1"),
    (r"opus/48000/2", "opus"),
    (r"opus/48000/2", "PCMU/8000"),
    (r"a=rtpmap:(\d+) opus/48000/2", r"a=rtpmap:\1 opus/48000/2\r\na=rtpmap:\1 PCMA/8000"),
    (r"a=candidate:.*", "a=candidate:1"),
    (r"a=candidate:.*", "a=candidate:1 1 udp 1 192.0.2.1 port typ host"),
    *(
        (r"(a=mid:0)", rf"\1\r\na=candidate:1 1 udp 1 {address} typ host")
        for address in ("192.0.2.1 65536", "192.0.2.1 -1", "fe80::1%name 9", "fe80::1%\x01 9")
    ),
    (r"(a=mid:0)", "\\1\r\n" + "\r\n".join(["a=candidate:1 1 udp 1 192.0.2.1 9 typ host"] * 100)),
    (r"c=IN IP4 0.0.0.0", "c=IN IP6 nowhere x"),
    (r"(m=application[\s\S]*)", r"\1m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:2\r\n"),
    (r"(m=application[\s\S]*)", r"\1\1"),
    (r"m=application[\s\S]*", ""),
    (r"m=audio[\s\S]*?(?=m=application)", ""),
    (r"(a=mid:0)", "\\1\x0bm=video 9 X 0"),
    (r"a=rtcp-mux\r\n", ""),
    (r"\r\n", "\r\n\x00"),
    (r"^v=0", "v=x"),
]
# What no answer can know to be wrong: no connection ever comes of it.
VAIN = [
    (r"a=ice-pwd:.*", "a=ice-pwd:" + "wrong" * 6),
    (r"a=fingerprint:(\S+) \w\w:\w\w", r"a=fingerprint:\1 00:00"),
    (r"a=candidate:.*\r\n", ""),
    (r"a=group:BUNDLE 0 1\r\n", ""),
    (r"a=group:BUNDLE 0 1", "a=group:BUNDLE 1 0"),
    (r"a=setup:actpass", "a=setup:passive"),
    (r"a=setup:actpass", "a=setup:active"),
    (r"a=sctp-port:.*", "a=sctp-port:1"),
]


async def good_offers() -> list[str]:
    one = Peer()
    ours = await one.offer()
    await one.pc.close()
    return [ours, CHROMIUM]


async def test_what_is_wrong_with_an_offer_is_said(attacker: Attacker) -> None:
    session = await attacker.ticket()
    for good in await good_offers():
        tried = 0
        for pattern, instead in BAD:
            sdp = re.sub(pattern, instead, good, flags=re.MULTILINE)
            if sdp == good:
                continue
            tried += 1
            response = await attacker.guarded(session, sdp)
            assert (response.status_code, response.json()["error"]["field"]) == (400, "sdp"), (pattern, instead, response.text)
            answer = await attacker.component({"sdp": sdp, "type": "offer", "webrtc_id": "page"})
            assert answer["status"] == "failed", (pattern, instead)
        assert tried > 40, "the offer is not of the form that the changes are for"
    assert await attacker.figure("parley_calls") == 0, "a refusal left something behind"


async def test_lines_that_are_lost_doubled_or_cut_never_fail_inside(attacker: Attacker) -> None:
    session = await attacker.ticket()
    for good in await good_offers():
        lines = good.splitlines(keepends=True)
        changed = chain.from_iterable(
            (
                [*lines[:n], *lines[n + 1 :]],
                [*lines[: n + 1], *lines[n:]],
                [*lines[:n], lines[n][: len(lines[n]) // 2] + "\r\n", *lines[n + 1 :]],
            )
            for n in range(len(lines))
        )
        for number, each in enumerate(changed):
            if number % 11 == 0:
                response = await attacker.guarded(session, "".join(each))
                assert response.status_code in (200, 400), (response.text, "".join(each))


async def test_a_connection_that_never_comes_gives_its_place_back(attacker: Attacker, server: Server) -> None:
    await attacker.empty()
    process = psutil.Process(server.pid)
    before = process.num_fds(), await attacker.figure("parley_tasks")
    for good in await good_offers():
        for pattern, instead in VAIN:
            sdp = re.sub(pattern, instead, good)
            assert sdp != good, pattern
            response = await attacker.guarded(await attacker.ticket(), sdp)
            assert response.status_code == 200, (pattern, response.text)
    await attacker.empty()
    after = process.num_fds(), await attacker.figure("parley_tasks")
    assert after[0] <= before[0] + 5 and after[1] <= before[1] + 5, (before, after)
    async with peer() as one:
        await attacker.call(one)


async def test_however_many_offers_are_abandoned_the_next_caller_gets_in(attacker: Attacker) -> None:
    for _ in range(40):
        session, [ours, _] = await attacker.ticket(), await good_offers()
        assert (await attacker.guarded(session, ours)).status_code == 200
    async with peer() as one:
        await attacker.call(one)


async def test_the_component_is_told_what_is_wrong_with_what_it_sends(attacker: Attacker) -> None:
    for data in (None, [], "text", {}, {"webrtc_id": 5}, {"webrtc_id": "x" * 100}, {"webrtc_id": "a", "type": "ice-candidate"}):
        assert (await attacker.component(data))["status"] == "failed", data
    for candidate in ("text", 5, {"candidate": 7}, {"candidate": "candidate:1 1 udp x"}, {"candidate": "x" * 5000}):
        answer = await attacker.component({"webrtc_id": "a", "type": "ice-candidate", "candidate": candidate})
        assert answer["status"] == "failed", candidate
