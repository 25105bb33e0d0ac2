"""Decides whether one more conversation is let in: whether there is a place, this process is going down, the models are behind,
or too many come from one address."""

import contextlib
from collections.abc import Iterator

from prometheus_client import Gauge

from app.settings import Settings
from server.sessions.live import LiveSessions
from server.sessions.load import Load
from server.sessions.tokens import Crowd, Full, Leaving

CAPACITY = Gauge("parley_capacity", "Conversations that this process may have at once; 0 when it is going down")


class Admission:
    """Decides for the conversations that are `live`, and those that are being let in."""

    def __init__(self, settings: Settings, live: LiveSessions, load: Load) -> None:
        self.draining = False  # this process is going down: nobody is let in any more
        self._max = settings.max_sessions
        self._max_per_address = settings.max_per_address
        self._live = live
        self._load = load
        self._opening: list[str] = []  # the addresses of those that are being let in
        CAPACITY.set_function(lambda: 0 if self.draining else self._max)

    @property
    def open_to_all(self) -> bool:
        """Whether a new conversation would be taken now."""
        return not self.draining and not self._load.overloaded and len(self._opening) + len(self._live.peers()) < self._max

    def check_leaving(self) -> None:
        """Raises Leaving while this process is going down."""
        if self.draining:
            raise Leaving("this server is going down; please try again in a moment")

    def check_load(self) -> None:
        """Raises Full while the models are behind. To be called for new conversations only: one that lost its process is taken
        wherever there is a place."""
        if self._load.overloaded:
            raise Full("the models are behind with the conversations that there are; please try again in a moment")

    def check_room(self) -> None:
        """Raises Full or Leaving when there is no place, and no conversation that would give way."""
        self.check_leaving()
        peers = self._live.peers()
        if len(self._opening) + len(peers) >= self._max and not any(peer.is_idle for peer in peers):
            raise Full(f"all {self._max} conversations are taken; please try again in a moment")

    def check_crowd(self, address: str) -> None:
        """Raises Crowd when no more conversations may come from `address`."""
        here = [*self._opening, *(peer.address for peer in self._live.peers())].count(address)
        if address and 0 < self._max_per_address <= here:
            raise Crowd(f"there are {here} conversations from your address already; please end one of them")

    @contextlib.contextmanager
    def place(self, address: str) -> Iterator[None]:
        """Holds a place for a client that is being let in. Idle connections give way first, then the conversation whose
        connection was lost longest ago. Raises Crowd, Full or Leaving."""
        self.check_crowd(address)
        self.check_room()
        if len(self._opening) + len(self._live.peers()) >= self._max:
            self._live.end_idle()
        if len(self._opening) + len(self._live) >= self._max:
            self._live.drop_first_lost()
        self._opening.append(address)
        try:
            yield
        finally:
            self._opening.remove(address)
