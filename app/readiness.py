"""Whether the models are warm: what `/readyz` says, and what a new conversation waits for."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from services.base import Services, ServiceUnavailable

log = logging.getLogger(__name__)


class Readiness:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._finished = asyncio.Event()
        self._pending = dict.fromkeys([*services.all(), "lines"], "loading")

    def pending(self) -> Mapping[str, str]:
        """What is not ready, each with "loading" or the reason why it never will be; empty when a turn would be fast."""
        return self._pending

    async def warm(self, after: Callable[[], Awaitable[None]]) -> None:
        """Warms all services at once, then does `after`, which needs them. What fails is logged and stays in `pending`."""
        await asyncio.gather(*(self._warm(name, service.warm) for name, service in self._services.all().items()))
        await self._warm("lines", after)
        self._finished.set()

    async def _warm(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
            del self._pending[name]
        except Exception as error:
            log.exception("%s cannot be started", name)
            self._pending[name] = str(error)

    async def wait(self) -> None:
        """Returns when a conversation can begin. Raises ServiceUnavailable when it never will."""
        await self._finished.wait()
        for name, reason in self._pending.items():
            raise ServiceUnavailable(name, reason)
