"""Offers and candidates of WebRTC clients gone wrong: whole ones with lines lost, doubled, moved, exchanged and cut, with other
numbers and words in them."""

import random
import re
from typing import Any

from tests.fuzz.mutations import ODD, broken

NUMBERS = ("0", "1", "-1", "2", "65535", "65536", "4294967295", "4294967296", "9" * 30, "1.5", "x", "", "0x1", "٣", "²")
WORDS = (
    "IN", "IP4", "IP6", "0.0.0.0", "::1", "192.0.2.1", "fe80::1%lo", "example", "udp", "tcp", "typ", "host", "srflx", "relay",
    "raddr", "rport", "sha-256", "md5", "00:11", "sendrecv", "recvonly", "inactive", "actpass", "active", "passive", "holdconn",
    "opus/48000/2", "PCMU/8000", "opus", "audio", "application", "video", "UDP/TLS/RTP/SAVPF", "UDP/DTLS/SCTP", "DTLS/SCTP",
    "webrtc-datachannel", "BUNDLE", "a=", "m=", "c=", "v=0", ":", "*", "\x00", "\x85", "ü", "x" * 300, "minptime=10;useinbandfec=1",
)  # fmt: skip
LINES = (
    "a=group:BUNDLE 0 0", "a=group:LS 0", "a=mid:0", "a=mid:", "a=ice-lite", "a=ice-options:trickle", "a=end-of-candidates",
    "a=candidate:1 1 udp 2130706431 192.0.2.1 9 typ host", "a=candidate:1 1 tcp 1 192.0.2.1 9 typ host tcptype active",
    "a=candidate:2 2 udp 1 192.0.2.2 9 typ srflx raddr 0.0.0.0 rport 0", "a=rtcp:9 IN IP4 0.0.0.0", "a=rtcp-mux", "a=rtcp-rsize",
    "a=ssrc:1 cname:x", "a=ssrc:x", "a=ssrc-group:FID 1 2", "a=msid:- x", "a=fmtp:96 x", "a=fmtp:96 apt=x", "a=rtcp-fb:* nack",
    "a=rtcp-fb:96", "a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid", "a=extmap:x", "a=sctpmap:5000 webrtc-datachannel 1024",
    "a=sctp-port:5000", "a=max-message-size:0", "a=setup:actpass", "a=bundle-only", "a=rtpmap:111 opus/48000/2", "a=rtpmap:x",
    "m=audio 9 UDP/TLS/RTP/SAVPF 111", "m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "m=video 0 X 0", "s=-", "t=0 0", "o=- 1",
)  # fmt: skip


def offer(rng: random.Random, wholes: list[str]) -> str:
    """One of `wholes`, and what was done to it."""
    lines = rng.choice(wholes).splitlines(keepends=True)
    for _ in range(rng.choice((0, 1, 1, 1, 2, 3, 8))):
        at, to = rng.randrange(len(lines)), rng.randrange(len(lines))
        match rng.randrange(8):
            case 0:
                lines = [*lines[:at], *lines[at + 1 :]] if len(lines) > 1 else lines
            case 1:
                lines.insert(to, lines[at])
            case 2:
                lines[at], lines[to] = lines[to], lines[at]
            case 3:
                lines.insert(at, rng.choice(LINES) + rng.choice(("\r\n", "\n", "\r", "")))
            case 4:
                lines[at] = rng.choice(rng.choice(wholes).splitlines(keepends=True))
            case _:
                lines[at] = _said_otherwise(rng, lines[at])
    text = "".join(lines)
    return broken(rng, text.encode()).decode(errors="replace") if rng.random() < 0.1 else text


def candidate(rng: random.Random) -> dict[str, Any]:
    """As a client names one (RTCIceCandidate.toJSON()), and what was done to it."""
    line = rng.choice([line for line in LINES if line.startswith("a=candidate")]).removeprefix(
        rng.choice(("", "a=", "a=candidate:"))
    )
    for _ in range(rng.choice((0, 1, 1, 3))):
        line = _said_otherwise(rng, line)
    said: dict[str, Any] = {"candidate": line, "sdpMid": "0", "sdpMLineIndex": 0, "usernameFragment": "abcd"}
    for name in list(said):
        if rng.random() < 0.1:
            said[name] = rng.choice((*ODD, 65, -5, "7", "x" * 2000))
        elif rng.random() < 0.1:
            del said[name]
    return said


def _said_otherwise(rng: random.Random, line: str) -> str:
    """A line in which a number or a word is another."""
    places = list(re.finditer(rng.choice((r"\d+", r"[^\s:=]+", r"\S+", r"[^\s]")), line))
    if not places:
        return line
    place = rng.choice(places)
    return line[: place.start()] + rng.choice(rng.choice((NUMBERS, WORDS))) + line[place.end() :]
