"""What only aiortc's private fields tell: the RTP clock of outgoing audio and the depth of the jitter buffer. The one module that
touches them; each look is guarded, so that another version of aiortc costs precision, not the call."""

import logging

from aiortc import RTCPeerConnection

log = logging.getLogger(__name__)

RTP_WRAP = 1 << 32
SAMPLES = 960  # RTP ticks in a 20 ms frame: Opus counts 48 kHz samples (RFC 7587, section 4.1)
PREFETCH = 0  # packets held back on arrival; aiortc's 4 delay everything heard by 82 ms (1 to 0: 23 ms, measured)


class SenderClock:
    """Maps the number of an outgoing frame to its RTP timestamp.

    A frame counted as sent may still wait in the sender, never the other way round, so of several looks at the clock the latest
    origin is the true one.
    """

    def __init__(self, pc: RTCPeerConnection) -> None:
        self._senders = pc.getSenders()
        self._origin: int | None = None

    def look(self, sent: int) -> None:
        """`sent` frames have been taken by the track so far."""
        stamp = getattr(self._senders[0], "_RTCRtpSender__rtp_timestamp", None) if self._senders else None
        if not stamp or sent < 1:
            return
        origin = (stamp - (sent - 1) * SAMPLES) % RTP_WRAP
        if self._origin is None or 0 < (origin - self._origin) % RTP_WRAP < RTP_WRAP // 2:
            self._origin = origin

    def stamp(self, frame: int) -> int | None:
        """The RTP timestamp of frame number `frame` (the first is 0); None when the clock cannot be read."""
        return None if self._origin is None else (self._origin + frame * SAMPLES) % RTP_WRAP


def shorten_jitter_buffer(pc: RTCPeerConnection) -> bool:
    """Hands arriving audio on at once. False when aiortc has changed and the buffer stays as it is."""
    for receiver in pc.getReceivers():
        buffer = getattr(receiver, "_RTCRtpReceiver__jitter_buffer", None)
        if buffer is None or not hasattr(buffer, "_prefetch"):
            log.warning("the jitter buffer of this aiortc is not known: sound arrives up to 80 ms later")
            return False
        buffer._prefetch = PREFETCH
    return True
