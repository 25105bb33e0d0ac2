"""Who reads logs. Each costs the store work and this process the memory of a page, for as long as his client takes."""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from app.store.records import Busy

READERS = 16  # at once
EACH = 2  # of one session
OF_ONE = 4  # of one address
LEAST_S = 2.0  # that a reader has, before he gives way; a log is read in less


@dataclass(slots=True, eq=False)
class Reader:
    """Whoever reads does not keep the writer waiting."""

    session_id: str
    address: str
    since: float  # seconds
    out: bool = False  # others came

    def check(self) -> None:
        """Raises Busy when he has had to give way."""
        if self.out:
            raise Busy("others wait to read, and this took long: please come again")


class Readers:
    """When there are too many, whoever has read longest gives way: nobody can keep others out by taking what he reads slowly."""

    def __init__(self, now: Callable[[], float]) -> None:
        """`now` in seconds."""
        self._now = now
        self._reading: dict[Reader, None] = {}  # in the order in which they came

    @contextlib.contextmanager
    def place(self, session_id: str, address: str) -> Iterator[Reader]:
        """A place for somebody at `address`; "" is not counted. Raises Busy when there is none."""
        sessions, addresses = (Counter(getattr(one, name) for one in self._reading) for name in ("session_id", "address"))
        if sessions[session_id] >= EACH or (address and addresses[address] >= OF_ONE):
            raise Busy("too many of yours read logs already")
        if len(self._reading) >= READERS:
            self._make_room()
        reader = Reader(session_id, address, self._now())
        self._reading[reader] = None
        try:
            yield reader
        finally:
            self._reading.pop(reader, None)

    def _make_room(self) -> None:
        longest = next(iter(self._reading))
        if self._now() - longest.since < LEAST_S:
            raise Busy("too many read logs at once")
        longest.out = True
        del self._reading[longest]
