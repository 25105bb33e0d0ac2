"""The places at which an answer says that this machine is reached."""

from aiortc.sdp import SessionDescription

from server.transport.offers import also_at
from tests.unit.web.test_api import SDP

CANDIDATES = (
    "a=candidate:0d3ad1b1e2c5f7a8 1 udp 2130706431 10.0.0.7 40001 typ host\r\n"
    "a=candidate:90f1 1 udp 2130706431 fd00::7 40002 typ host\r\n"
    "a=candidate:77aa 1 udp 1694498815 198.51.100.1 40001 typ srflx raddr 10.0.0.7 rport 40001\r\n"
)
ANSWER = f"{SDP}a=rtpmap:111 opus/48000/2\r\n{CANDIDATES}a=end-of-candidates\r\n"


def test_a_machine_behind_another_address_is_named_by_both() -> None:
    answer = also_at(ANSWER, "203.0.113.7")
    [media] = SessionDescription.parse(answer).media
    found = [(candidate.ip, candidate.port, candidate.type) for candidate in media.ice_candidates]
    assert found == [
        ("10.0.0.7", 40001, "host"),
        ("203.0.113.7", 40001, "host"),
        ("fd00::7", 40002, "host"),
        ("198.51.100.1", 40001, "srflx"),
    ]
    foundations = [candidate.foundation for candidate in media.ice_candidates]
    assert len(set(foundations)) == len(foundations) and all(len(each) <= 32 for each in foundations)


def test_an_address_of_the_other_kind_goes_with_its_own() -> None:
    [media] = SessionDescription.parse(also_at(ANSWER, "2001:db8::7")).media
    assert [(c.ip, c.port) for c in media.ice_candidates if c.type == "host"] == [
        ("10.0.0.7", 40001),
        ("fd00::7", 40002),
        ("2001:db8::7", 40002),
    ]


def test_without_one_the_answer_is_as_it_was() -> None:
    assert also_at(ANSWER, "") == ANSWER
