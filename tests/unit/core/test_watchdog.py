import sys

from server.core.watchdog import BEAT_S, WAITING, WORKING, Watchdog, what


class Loop:
    """A loop whose watchdog goes by these clocks."""

    def __init__(self) -> None:
        self.now = self.work = 100.0
        self.watchdog = Watchdog(lambda: self.now, lambda: self.work)
        self.watchdog.begin()

    def hold(self, seconds: float, work: float) -> None:
        self.now += BEAT_S + seconds
        self.work += work
        self.watchdog.beat()


def counts() -> tuple[float, float]:
    return WORKING._value.get(), WAITING._value.get()


def test_a_loop_that_works_for_long_is_told_from_one_that_waits() -> None:
    loop, (working, waiting) = Loop(), counts()
    for _ in range(10):
        loop.hold(0.01, BEAT_S)
    loop.hold(0.4, 0.4)
    assert counts() == (working, waiting)
    loop.hold(0.6, 0.6)
    assert counts() == (working + 1, waiting)
    loop.hold(3.0, 0.1)
    assert counts() == (working + 1, waiting + 1)


def test_what_holds_it_is_named() -> None:
    assert what(sys._getframe()).endswith("in test_what_holds_it_is_named")
