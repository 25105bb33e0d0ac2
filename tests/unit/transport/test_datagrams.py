"""Which datagrams are let in to a WebRTC connection: from whom, of what kind and how many."""

from aioice import Candidate, Connection

from server.transport.datagrams import CHECKS_AT_ONCE, LARGEST, STRANGERS_AT_ONCE, UNREAD, DatagramFilter

OWN, STRANGE = ("192.0.2.1", 9), ("192.0.2.2", 9)
STUN, DTLS, SRTP, TURN = b"\x00\x01", b"\x16\xfe\xfd", b"\x80\x60", b"\x40\x00"


async def connection() -> Connection:
    """Its client has named the address OWN."""
    made = Connection(ice_controlling=False)
    await made.add_remote_candidate(Candidate("1", 1, "udp", 1, *OWN, type="host"))
    return made


async def test_only_what_a_client_would_send_from_its_own_address_is_let_in() -> None:
    taken: list[tuple[bytes, object]] = []
    receive = DatagramFilter(await connection()).guard(lambda data, address: taken.append((data, address)))
    for data in (b"", b"\xff", TURN, DTLS + bytes(LARGEST), STUN, DTLS, SRTP):
        for address in (OWN, STRANGE, (*OWN, 0, 0)):  # of IPv6 there are four parts
            receive(data, address)
    whole = (*OWN, 0, 0)
    assert taken == [(STUN, OWN), (STUN, STRANGE), (STUN, whole), (DTLS, OWN), (DTLS, whole), (SRTP, OWN), (SRTP, whole)]


async def test_what_nobody_reads_is_not_kept() -> None:
    made = await connection()
    receive = DatagramFilter(made).guard(lambda data, _: made.data_received(data, 1))
    for _ in range(10 * UNREAD):
        receive(DTLS, OWN)
    assert made._queue.qsize() == UNREAD


async def test_checks_of_addresses_are_counted_apart_from_those_of_strangers() -> None:
    taken: list[object] = []
    receive = DatagramFilter(await connection()).guard(lambda _, address: taken.append(address))
    for address in (STRANGE, OWN):
        for _ in range(10_000):
            receive(STUN, address)
    assert abs(taken.count(STRANGE) - STRANGERS_AT_ONCE) < 20 and abs(taken.count(OWN) - CHECKS_AT_ONCE) < 50
