"""Connections that have not begun a conversation: how many there may be, and which one gives way."""

from collections import Counter

from prometheus_client import Gauge

from app.protocol.messages import Error, ShuttingDown
from server.sessions.live import ClientConnection

WAITING = 4  # connections that have not started, for each conversation that may be had
WAITING_OF_ONE = 8  # of these, how many may come from one address

HELD = Gauge("parley_waiting", "Connections that have not begun a conversation")


class PendingConnections:
    """The connections that have not yet begun a conversation. When there are too many, in all or from one address, the oldest
    one of the address with the most gives way: a client in earnest needs only a second, and nobody can keep others out by
    waiting."""

    def __init__(self, conversations: int) -> None:
        self._most = conversations * WAITING
        self._waiting: dict[ClientConnection, None] = {}  # in the order in which they came

    def __len__(self) -> int:
        return len(self._waiting)

    def enter(self, connection: ClientConnection) -> None:
        """Adds a connection that came; another one may have to give way."""
        counts = Counter(waiting.address for waiting in self._waiting)
        if connection.address and counts[connection.address] >= WAITING_OF_ONE:
            self._turn_out(connection.address)
        elif len(self._waiting) >= self._most:
            self._turn_out(counts.most_common(1)[0][0])
        self._waiting[connection] = None
        HELD.set(len(self._waiting))

    def leave(self, connection: ClientConnection) -> None:
        """Removes a connection that has begun a conversation, or is gone."""
        self._waiting.pop(connection, None)
        HELD.set(len(self._waiting))

    def _turn_out(self, address: str) -> None:
        oldest = next(waiting for waiting in self._waiting if waiting.address == address)
        self.leave(oldest)
        oldest.close(Error(code="crowded", message="newer connections took this one's place before it had started", fatal=True))

    def close(self) -> None:
        """Ends every connection, as the server goes down."""
        for waiting in list(self._waiting):
            waiting.close(ShuttingDown())
