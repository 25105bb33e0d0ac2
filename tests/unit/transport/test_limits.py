"""Token buckets, the waiting room, who a caller is, and what is logged of what goes on and on."""

import logging
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from app.protocol.messages import Error, Farewell, ShuttingDown
from server.core.client_address import UNNAMED, ClientAddressMiddleware, caller
from server.core.limits import EPISODE_S, Episodes, OncePerEpisode, TokenBucket, TokenBuckets
from server.transport.pending import WAITING, WAITING_OF_ONE, PendingConnections


def test_an_allowance_is_a_burst_and_a_rate() -> None:
    allowance = TokenBucket(rate=2, burst=3, at=10.0)
    assert [allowance.take(10.0) for _ in range(4)] == [True, True, True, False]
    assert not allowance.take(10.5), "what was too much is owed"
    assert allowance.take(12.0)


def test_what_is_not_left_is_not_used() -> None:
    allowance = TokenBucket(rate=2, burst=10, at=0.0)
    assert allowance.take_if_left(0.0, 10) and not allowance.take_if_left(0.0, 6)
    assert allowance.take_if_left(0.5, 1), "the six that were refused are not owed"
    assert not allowance.take_if_left(0.5, 1)


def test_each_address_has_a_budget_of_its_own() -> None:
    budgets = TokenBuckets(rate=1, burst=2)
    assert [budgets.take(who, 0.0) for who in ("a", "a", "a", "b", "", "", "")] == [True, True, False] + [True] * 4
    assert budgets.take("a", 1.0) and not budgets.take("a", 1.0)
    budgets.take("c", 100.0)
    assert set(budgets._of) == {"c"}, "who came long ago is forgotten"


def test_what_follows_closely_is_the_same_episode() -> None:
    episodes = Episodes(5.0)
    assert [episodes.begins(now) for now in (0.0, 1.0, 5.9, 10.0, 15.1, 15.2)] == [True, False, False, False, True, False]


def test_a_warning_is_logged_once_an_episode_and_then_with_how_often_it_was_not() -> None:
    now, seen = 0.0, []
    log = logging.Logger("test")
    log.addFilter(OncePerEpisode(lambda: now))
    log.handle = lambda record: seen.append(record.getMessage()) if log.filter(record) else None  # type: ignore[method-assign]
    for n in range(1000):
        now = n * 0.01
        log.warning("bad offer %d", n)
        log.error("another")
        log.info("note %d", n % 2)
    assert [message for message in seen if "note" not in message] == ["bad offer 0", "another"]
    assert sum("note" in message for message in seen) == 1000
    now += EPISODE_S
    log.warning("bad offer %d", 7)
    assert seen[-1] == "bad offer 7 (and 999 times more in the meantime)"


def test_an_episode_of_the_event_loop_is_one_whatever_the_objects() -> None:
    """asyncio's messages hold the address of the protocol, the task or the transport."""
    seen: list[str] = []
    log = logging.Logger("test")
    log.addFilter(OncePerEpisode(lambda: 0.0))
    log.handle = lambda record: seen.append(record.getMessage()) if log.filter(record) else None  # type: ignore[method-assign]

    def fails(error: Exception) -> None:
        try:
            raise error
        except Exception as raised:
            log.error(f"Fatal error\nprotocol: <Socket at {id(raised):#x}>", exc_info=raised)

    for n in range(1000):
        fails(ValueError(n))
        log.error(f"Task <{n:#x}> was destroyed")
    fails(KeyError("another"))
    assert [text.split()[0] for text in seen] == ["Fatal", "Task", "Fatal"]
    try:
        int("elsewhere")
    except ValueError as error:
        log.error("Fatal error", exc_info=error)
    assert len(seen) == 4, "the same error of another place"


# --- the waiting room -------------------------------------------------------------------------------------------------


class Waiting:
    def __init__(self, address: str = "") -> None:
        self.address = address
        self.last: Farewell | None = None

    @property
    def error(self) -> Error | None:
        return self.last if isinstance(self.last, Error) else None

    def close(self, last: Farewell | None = None) -> None:
        self.last = last


def test_the_oldest_of_whoever_has_most_gives_way() -> None:
    room = PendingConnections(2)
    honest = Waiting("192.0.2.1")
    room.enter(honest)
    many = [Waiting() for _ in range(3 * WAITING)]
    for one in many:
        room.enter(one)
    assert len(room) == 2 * WAITING and honest.error is None
    gone = [one for one in many if one.error is not None]
    assert gone == many[: len(gone)] and gone[0].error is not None and gone[0].error.code == "crowded"


def test_one_address_has_a_part_of_it() -> None:
    room = PendingConnections(100)
    many = [Waiting("192.0.2.1") for _ in range(WAITING_OF_ONE + 3)]
    for one in [*many, *(Waiting("192.0.2.2") for _ in range(3))]:
        room.enter(one)
    assert [one.error is not None for one in many] == [True] * 3 + [False] * WAITING_OF_ONE
    room.leave(many[-1])
    room.enter(Waiting("192.0.2.1"))
    assert many[3].error is None


def test_when_the_server_goes_all_are_told() -> None:
    room, one = PendingConnections(2), Waiting()
    room.enter(one)
    room.close()
    assert one.last == ShuttingDown()


# --- who calls --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "client", "given", "address"),
    [
        ("", "198.51.100.7", "203.0.113.9", "198.51.100.7"),  # no proxy is trusted
        ("", "127.0.0.1", None, ""),
        ("", "::1", None, ""),
        ("", "2001:db8:1:2:3::4", None, "2001:db8:1:2::/64"),
        ("", "::ffff:198.51.100.7", None, "198.51.100.7"),
        ("", "::ffff:127.0.0.1", None, ""),
        ("", "testclient", None, ""),
        ("X-Forwarded-For", "10.0.0.1", "203.0.113.9, 198.51.100.7", "198.51.100.7"),
        ("X-Forwarded-For", "127.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("X-Forwarded-For", "10.0.0.1", None, "10.0.0.1"),
        ("", "127.0.0.1", "203.0.113.9", UNNAMED),  # a proxy of this machine, which anybody can tell anything
        ("X-Forwarded-For", "127.0.0.1", None, ""),
        ("X-Forwarded-For", "10.0.0.1", "203.0.113.9, 198.51.100.7:5678", "198.51.100.7"),
        ("X-Forwarded-For", "10.0.0.1", "[2001:db8:1:2::3]:80", "2001:db8:1:2::/64"),
        ("X-Forwarded-For", "10.0.0.1", "[2001:db8:1:2::3]", "2001:db8:1:2::/64"),
        ("X-Forwarded-For", "10.0.0.1", "[::ffff:198.51.100.7]:80", "198.51.100.7"),
        ("X-Forwarded-For", "127.0.0.1", "[::1]:80", "::1"),
        ("Forwarded", "10.0.0.1", "for=203.0.113.9, for=198.51.100.7:1;proto=https;by=192.0.2.1", "198.51.100.7"),
        ("Forwarded", "10.0.0.1", 'proto=https; For="[2001:db8:1:2::3]:_port"', "2001:db8:1:2::/64"),
        *(
            (header, "127.0.0.1", named, UNNAMED)
            for header in ("X-Forwarded-For", "Forwarded")
            for named in (
                "unknown",
                "_hidden",
                "unix:",
                "for=_x;by=192.0.2.1",
                "198.51.100.7,",
                "1.2.3.4:5:6",
                "[::1",
                "[]:80",
                "010.1.1.1",
            )
        ),
        ("X-Forwarded-For", "10.0.0.1", "127.0.0.1", "127.0.0.1"),
        ("X-Real-IP", "10.0.0.1", "2001:db8::1%eth0", "2001:db8::/64"),
    ],
)
async def test_where_a_caller_is(header: str, client: str, given: str | None, address: str) -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(caller.get())

    headers = [
        (name, value)
        for name in (b"x-forwarded-for", b"x-real-ip", b"forwarded")
        for value in [(given or "").encode()]
        if given
    ]
    scope: dict[str, Any] = {"type": "websocket", "headers": headers, "client": (client, 4711)}
    await ClientAddressMiddleware(app, header)(scope, None, None)  # type: ignore[arg-type]
    assert seen == [address]


async def test_of_several_headers_the_last_counts() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert caller.get() == "198.51.100.7"

    headers = [(b"x-forwarded-for", b"203.0.113.9"), (b"x-forwarded-for", b"203.0.113.9,198.51.100.7")]
    await ClientAddressMiddleware(app, "x-forwarded-for")({"type": "http", "headers": headers, "client": None}, None, None)  # type: ignore[arg-type]
