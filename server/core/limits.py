"""Limits on what one client may cost: budgets by the second, and one log line an episode."""

import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass

EPISODE_S = 60.0  # what happens again within this is the same episode
OBJECT = re.compile("0x[0-9a-fA-F]+")  # in asyncio's messages each object has its address


@dataclass(slots=True)
class TokenBucket:
    """A token bucket: `burst` at once, `rate` a second in the long run."""

    rate: float
    burst: float
    spent: float = 0.0
    at: float = 0.0

    def take(self, now: float, amount: float = 1.0) -> bool:
        """Uses `amount` at `now` (seconds). False when less was left; the amount is then owed all the same."""
        self._refill(now)
        self.spent += amount
        return self.spent <= self.burst

    def take_if_left(self, now: float, amount: float) -> bool:
        """Uses `amount` at `now` (seconds) where that much is left, and otherwise nothing."""
        self._refill(now)
        if self.spent + amount > self.burst:
            return False
        self.spent += amount
        return True

    def _refill(self, now: float) -> None:
        self.spent = max(0.0, self.spent - (now - self.at) * self.rate)
        self.at = now


class TokenBuckets:
    """A `TokenBucket` for each address."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate, self._burst = rate, burst
        self._of: dict[str, TokenBucket] = {}

    def take(self, address: str, now: float) -> bool:
        """Uses 1 of the bucket of `address` at `now` (seconds). The address "" is not limited."""
        if not address:
            return True
        if address not in self._of:  # those that have all of theirs again need not be known
            lasts_s = self._burst / self._rate
            self._of = {other: allowance for other, allowance in self._of.items() if now - allowance.at < lasts_s}
            self._of[address] = TokenBucket(self._rate, self._burst, at=now)
        return self._of[address].take_if_left(now, 1)


class Episodes:
    """Tells the first occurrence of something from those that follow it closely."""

    def __init__(self, length_s: float = EPISODE_S) -> None:
        self._length_s = length_s
        self._last = float("-inf")

    def begins(self, now: float) -> bool:
        """Notes an occurrence at `now` (seconds). True when there was none within the last `length_s`."""
        begins = now - self._last > self._length_s
        self._last = now
        return begins


class OncePerEpisode(logging.Filter):
    """A filter for a logger whose warnings clients can cause again and again. The first record of a message (before its
    arguments are filled in) is logged, and while the episode goes on another one each EPISODE_S, with the number that were left
    out."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._told: dict[object, tuple[float, int]] = {}  # when a kind was logged, and how many were left out since

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether this record is logged."""
        if record.levelno < logging.WARNING:
            return True
        now, kind = self._clock(), _kind(record)
        told_at, left_out = self._told.pop(kind, (float("-inf"), 0))
        if now - told_at < EPISODE_S:
            self._told[kind] = told_at, left_out + 1
            return False
        # What has not happened for long is forgotten: the messages of some loggers are never the same twice.
        self._told = {other: told for other, told in self._told.items() if now - told[0] < 2 * EPISODE_S}
        self._told[kind] = now, 0
        if left_out:
            record.msg = f"{record.msg} (and {left_out} times more in the meantime)"
        return True


def _kind(record: logging.LogRecord) -> tuple[object, ...]:
    """The part of a record that is the same in every record of one cause: the first line of the message, the error and the line
    that raised it."""
    said = OBJECT.sub("", str(record.msg).partition("\n")[0])
    error = record.exc_info[1] if record.exc_info else None
    place = error.__traceback__ if error else None
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    return said, type(error), (place.tb_frame.f_code.co_filename, place.tb_lineno) if place else None


def quiet_logger(name: str) -> logging.Logger:
    """The logger of this name, with `OncePerEpisode`."""
    log = logging.getLogger(name)
    log.addFilter(OncePerEpisode())
    return log
