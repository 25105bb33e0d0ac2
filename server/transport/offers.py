"""Checks what a WebRTC client proposes, its offer and its candidates, before aiortc acts on them: aiortc takes much for
granted."""

import re
from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any

from aiortc import RTCIceCandidate, RTCRtpSender
from aiortc.sdp import MediaDescription, SessionDescription, candidate_from_sdp

MAX_SDP = 64 * 1024
MAX_CANDIDATES = 64
MAX_OF_A_KIND = (
    2 * MAX_CANDIDATES
)  # lines that begin alike, of both sections: aiortc holds each of a kind against all of another
MAX_FORMATS = 64  # of one section; Chromium offers nine
OPUS = "audio/opus"  # which every WebRTC endpoint can (RFC 7874, section 3)
LEAST_MESSAGE = 16 * 1024  # bytes that a client must be able to take: a state with all that is said in it
HASHES = {"sha-256": 32, "sha-384": 48, "sha-512": 64}  # bytes; others are too weak, or unknown to aiortc
UFRAG = re.compile(r"[A-Za-z0-9+/]{4,256}")  # RFC 8839, section 5.4
PWD = re.compile(r"[A-Za-z0-9+/]{22,256}")
HOST = re.compile(
    r"a=candidate:(?P<foundation>\S+)(?P<how> \d+ udp \d+ )(?P<ip>\S+)(?P<rest> \d+ typ host[^\r\n]*\r?\n)", re.IGNORECASE
)
MID = re.compile(r"[\w.!#$%&'*+^`{|}~-]{1,32}", re.ASCII)  # a token (RFC 8866)


class BadOffer(ValueError):
    """An offer, or a candidate, that cannot be used; the message says why."""


def check_offer(sdp: Any, kind: Any) -> None:
    """Raises BadOffer unless this is an offer of one audio, with Opus before other codecs that we know, and one data channel,
    to which a connection can be made."""
    if not isinstance(sdp, str) or len(sdp) > MAX_SDP:
        raise BadOffer(f"sdp: must be text of at most {MAX_SDP} characters")
    if kind != "offer":
        raise BadOffer('type: must be "offer"')
    if excess := _too_many(sdp):
        raise BadOffer(f"sdp: {excess}")
    try:
        fault = next(_faults(SessionDescription.parse(sdp), sdp), None)
    except (
        Exception
    ) as error:  # aiortc's parser raises whatever a malformed line makes it trip over, or leaves None where a value is
        raise BadOffer(f"sdp: cannot be parsed ({error})"[:300]) from error
    if fault:
        raise BadOffer(f"sdp: {fault}")


def _too_many(sdp: str) -> str:
    """The name of what the offer has too much of to be parsed; "" where there is nothing."""
    lines = sdp.splitlines()
    kinds = Counter(line.partition(":")[0].split(" ")[0] for line in lines)
    kind, count = max(kinds.items(), key=lambda found: found[1], default=("", 0))
    if count > MAX_OF_A_KIND:
        return f"has {count} lines of {kind[:20]}"
    if any(len(line.split()) > MAX_FORMATS + 3 for line in lines if line.startswith("m=")):
        return f"has more than {MAX_FORMATS} formats in a line"
    return ""


def _faults(offer: SessionDescription, sdp: str) -> Iterator[str]:
    sections = re.split(r"^m=", sdp, flags=re.MULTILINE)[1:]
    if sorted(media.kind for media in offer.media) != ["application", "audio"] or len(sections) != 2:
        yield "must offer one audio and one data channel, and nothing else"
    mids = [media.rtp.muxId or "" for media in offer.media]
    if not all(map(MID.fullmatch, mids)) or len(set(mids)) != len(mids):
        yield "each a=mid must be there, and be another"
    bundles = [group.items for group in offer.group if group.semantic == "BUNDLE"]
    if len(bundles) > 1 or any(items and Counter(items) != Counter(set(items) & set(mids)) for items in bundles):
        yield "a=group:BUNDLE must name each a=mid once at most, and nothing else"
    bundled = bundles[0] if bundles else []
    for media, section in zip(offer.media, sections, strict=True):
        # A media line of port 0 is turned down, but for one that is only there within a bundle (RFC 8843, section 7.2.1).
        if media.port == 0 and not (re.search(r"^a=bundle-only\s*$", section, re.MULTILINE) and media.rtp.muxId in bundled[1:]):
            yield f"m={media.kind} has port 0"
        yield from _transport_faults(media)
        yield from _audio_faults(media) if media.kind == "audio" else _channel_faults(media)


def _transport_faults(media: MediaDescription) -> Iterator[str]:
    if not media.dtls or not media.dtls.fingerprints:
        yield "lacks a=fingerprint or a=setup"
    elif not all(_is_fingerprint(each.algorithm.lower(), each.value) for each in media.dtls.fingerprints):
        yield f"a=fingerprint must be of {', '.join(HASHES)}"
    ice = media.ice
    if ice is None or not UFRAG.fullmatch(ice.usernameFragment or "") or not PWD.fullmatch(ice.password or ""):
        yield "lacks a=ice-ufrag (4 characters or more) or a=ice-pwd (22 or more)"
    if len(media.ice_candidates) > MAX_CANDIDATES:
        yield f"has more than {MAX_CANDIDATES} candidates"
    if not all(map(_is_reachable, media.ice_candidates)):
        yield "a=candidate has no address of the network"


def _is_fingerprint(algorithm: str, value: str) -> bool:
    return algorithm in HASHES and bool(
        re.fullmatch(rf"(?:[0-9A-Fa-f]{{2}}:){{{HASHES[algorithm] - 1}}}[0-9A-Fa-f]{{2}}", value)
    )


def _is_reachable(candidate: RTCIceCandidate) -> bool:
    """Whether sockets take this for an address without looking its name up: in an address with a scope ("fe80::1%name"), the
    scope is a name."""
    return 0 <= candidate.port < 65536 and "%" not in candidate.ip


def _audio_faults(media: MediaDescription) -> Iterator[str]:
    if "SAVP" not in media.profile:
        yield "the audio must be encrypted (UDP/TLS/RTP/SAVPF)"
    if not media.rtcp_mux:
        yield "the audio lacks a=rtcp-mux"
    if media.direction != "sendrecv":
        yield "the audio must go both ways (a=sendrecv)"
    known = {codec.mimeType.lower() for codec in RTCRtpSender.getCapabilities("audio").codecs}
    codecs = [codec for codec in media.rtp.codecs if codec.mimeType.lower() in known and codec.payloadType in media.fmt]
    if not codecs or codecs[0].mimeType.lower() != OPUS:
        yield "must offer Opus before other audio"
    elif (codecs[0].clockRate, codecs[0].channels) != (48_000, 2):
        yield "Opus is opus/48000/2 (RFC 7587)"
    if len({codec.payloadType for codec in codecs}) != len(codecs):
        yield "two codecs have one payload type"


def _channel_faults(media: MediaDescription) -> Iterator[str]:
    if "DTLS/SCTP" not in media.profile:
        yield "the data channel must be UDP/DTLS/SCTP"
    elif media.profile == "DTLS/SCTP":
        if not str(media.fmt[0]).isdecimal() or not 0 < int(media.fmt[0]) < 65536:
            yield "the data channel has no port"
    elif not 0 < (media.sctp_port or 0) < 65536:
        yield "the data channel has no a=sctp-port"
    size = media.sctpCapabilities.maxMessageSize if media.sctpCapabilities else -1
    if size != 0 and size < LEAST_MESSAGE:
        yield f"a=max-message-size must be {LEAST_MESSAGE} or more, or 0 for any size"


def candidate_of(said: dict[str, Any]) -> RTCIceCandidate | None:
    """An ICE candidate as RTCIceCandidate.toJSON() gives it; None for the candidate that says there are no more. Raises
    BadOffer."""
    try:
        text = str(said.get("candidate") or "").removeprefix("a=").removeprefix("candidate:").strip()
        if not text:
            return None
        if len(text) > 1024:
            raise ValueError("too long")
        candidate = candidate_from_sdp(text)
        mid, line = said.get("sdpMid"), said.get("sdpMLineIndex")
        if mid is None and line is None:
            raise ValueError("neither sdpMid nor sdpMLineIndex")
        if not _is_reachable(candidate):
            raise ValueError("no address of the network")
        candidate.sdpMid, candidate.sdpMLineIndex = mid, line
    except Exception as error:  # as of offers
        raise BadOffer(f"this ICE candidate cannot be used ({error})"[:300]) from error
    return candidate


def also_at(sdp: str, address: str) -> str:
    """Our answer, in which each address where this machine listens is also named as `address`, by which others reach it; "":
    the answer as it is."""
    return re.sub(HOST, partial(_both, address), sdp) if address else sdp


def _both(address: str, line: re.Match[str]) -> str:
    """Candidates with one foundation are tried as one (RFC 8445, section 5.1.1.3): the other place has one of its own."""
    if (":" in line["ip"]) != (":" in address):
        return line[0]
    return f"{line[0]}a=candidate:{line['foundation'][-30:]}n{line['how']}{address}{line['rest']}"
