"""The order of arriving packets."""

import pytest
from aiortc.rtp import RtpPacket

from app.rtp import AtOnce


def arrivals(sequence: list[int]) -> list[int]:
    """Which packets were handed on, in order, each as it came."""
    buffer, heard = AtOnce(), []
    for number in sequence:
        packet = RtpPacket(sequence_number=number, timestamp=960 * number % (1 << 32))
        packet._data = str(number).encode()  # type: ignore[attr-defined]
        _, frame = buffer.add(packet)
        if frame is not None:
            assert (frame.data, frame.timestamp) == (packet._data, packet.timestamp)  # type: ignore[attr-defined]
            heard.append(number)
    return heard


@pytest.mark.parametrize(
    ("sequence", "heard"),
    [
        ([7, 8, 9], [7, 8, 9]),
        ([7, 9, 10], [7, 9, 10]),  # one is lost
        ([7, 9, 8, 10], [7, 9, 10]),  # one is overtaken
        ([7, 7, 8], [7, 8]),  # one comes twice
        ([65534, 65535, 0, 1], [65534, 65535, 0, 1]),
        ([65535, 1, 0, 2], [65535, 1, 2]),
        ([5000, 1200, 1201], [5000, 1200, 1201]),  # the sender began anew
    ],
)
def test_packets_are_handed_on_as_they_come(sequence: list[int], heard: list[int]) -> None:
    assert arrivals(sequence) == heard
