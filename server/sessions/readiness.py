"""Whether the models are warm: `/readyz` tells it, and a new conversation waits for it."""

import asyncio
import gc
import logging
from collections.abc import Awaitable, Callable

from services.base import Services, ServiceUnavailable

log = logging.getLogger(__name__)


class Readiness:
    """The readiness of the services of this process."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._finished = asyncio.Event()
        self.waiting = {*services.all(), "lines"}  # not warm yet
        self.failed: dict[str, str] = {}  # what cannot be warmed, and why
        self.degraded = services.health.degraded  # services of vendors that the embedded ones stand in for

    @property
    def ready(self) -> bool:
        """Whether a first turn would be fast."""
        return not self.waiting and not self.failed

    def waited_s(self) -> float:
        """How long (s) work for the models has waited; 0 before they are warm, when no conversation waits for it."""
        return self._services.waited_s() if self.ready else 0.0

    async def warm(self, after: Callable[[], Awaitable[None]]) -> None:
        """Warms all services at once, then calls `after`, which needs them. A service that fails is logged and named in
        `failed`."""
        await asyncio.gather(*(self._warm(name, service.warm) for name, service in self._services.all().items()))
        await self._warm("lines", after)
        # What is there now stays. A full collection went through all of it, 0.14 s in which nothing else in the process ran.
        gc.freeze()
        self._finished.set()

    async def _warm(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except Exception as error:
            log.exception("%s cannot be started", name)
            self.failed[name] = str(error)
        self.waiting.discard(name)

    async def wait(self) -> None:
        """Returns when a conversation can begin. Raises ServiceUnavailable when none ever will."""
        await self._finished.wait()
        for name, reason in self.failed.items():
            raise ServiceUnavailable(name, reason)
