"""Who may read logs: nobody keeps others out by reading slowly."""

from contextlib import ExitStack

import pytest

from server.store.log_readers import EACH, LEAST_S, OF_ONE, READERS, Readers
from server.store.records import Busy


class Desk:
    def __init__(self) -> None:
        self.now = 100.0
        self.readers = Readers(lambda: self.now)
        self.stack = ExitStack()

    def read(self, session: object, address: str = "") -> object:
        return self.stack.enter_context(self.readers.place(str(session), address))


def test_of_one_session_and_of_one_address_few_read() -> None:
    desk = Desk()
    for _ in range(EACH):
        desk.read("s")
    with pytest.raises(Busy):
        desk.read("s")
    for number in range(OF_ONE):
        desk.read(number, "198.51.100.7")
    with pytest.raises(Busy):
        desk.read("t", "198.51.100.7")
    desk.stack.close()
    desk.read("s", "198.51.100.7")


def test_who_reads_slowly_gives_way_to_who_comes() -> None:
    desk = Desk()
    slow = [desk.read(number) for number in range(READERS)]
    with pytest.raises(Busy):
        desk.read("too soon")
    desk.now += LEAST_S
    fast = desk.read("comes")
    assert [reader.out for reader in slow] == [True, *[False] * (READERS - 1)]  # type: ignore[attr-defined]
    with pytest.raises(Busy, match="others wait"):
        slow[0].check()  # type: ignore[attr-defined]
    fast.check()  # type: ignore[attr-defined]
    desk.stack.close()
    for number in range(READERS):
        desk.read(number)
