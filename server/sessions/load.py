"""Whether the models keep up with the conversations of this process."""

from collections import deque
from collections.abc import Callable

from prometheus_client import Gauge

from app.core.clock import every

LOOK_S = 0.1  # how often it is looked whether they are behind
WINDOW_S = 20.0  # what the load is a share of
BEHIND_S = 0.25  # work that has waited for longer is late: a turn's end is felt as slow from a quarter of a second on
CLOSE, OPEN_AGAIN = 0.4, 0.1  # loads at which a process stops taking new conversations, and at which it takes them again

LOAD = Gauge(
    "parley_load",
    f"Share (0..1) of the last {WINDOW_S:g} s in which the models were behind: work for them, or sound to be listened to, had "
    f"waited for more than {BEHIND_S:g} s",
)


class Load:
    """Samples every LOOK_S how far the models are behind. `overloaded` changes late in both directions, so that a process at
    the limit does not open and close with every turn."""

    def __init__(self, behind_s: Callable[[], float]) -> None:
        """`behind_s` tells for how many seconds the oldest work that waits has waited."""
        self._behind_s = behind_s
        self._looks: deque[bool] = deque(maxlen=round(WINDOW_S / LOOK_S))
        self.overloaded = False

    @property
    def share(self) -> float:
        """The share (0..1) of recent samples in which the models were behind. The time before the first sample counts as time
        in which they kept up."""
        return sum(self._looks) / (WINDOW_S / LOOK_S)

    async def watch(self) -> None:
        """Takes samples until it is cancelled."""
        LOAD.set_function(lambda: self.share)
        await every(LOOK_S, self.look)

    def look(self) -> None:
        """Takes one more sample."""
        self._looks.append(self._behind_s() > BEHIND_S)
        self.overloaded = self.share > (OPEN_AGAIN if self.overloaded else CLOSE)
