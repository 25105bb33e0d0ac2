"""What every peer gets: the embedded models and the same answers, and the part of our HTTP interface that the client speaks."""

import argparse
import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Callable

import uvicorn
from fastapi import APIRouter, FastAPI, Response

from app.core.clock import LoopClock
from app.dialogue.agent_context import AgentContext
from app.dialogue.memory import Memory
from app.dialogue.phrasebook import Dialogue, Phrasebook
from app.reply.answer import Answer, Request
from app.settings import Settings
from app.tools.registry import Toolbox
from languages.en import LANGUAGE as ENGLISH
from server.bootstrap.service_factory import services_from
from services.base import Exchange, Services


class Brain:
    """The answers of `app.reply.answer` for one conversation."""

    def __init__(self, services: Services, phrasebook: Phrasebook, settings: Settings) -> None:
        dialogue = Dialogue(phrasebook, services.retrieval.topics())
        self._context = AgentContext(services, dialogue, Memory(), settings, LoopClock())
        self._over = asyncio.Event()  # a peer asks when the turn has ended
        self._over.set()

    async def answer(self, text: str) -> AsyncIterator[str]:
        """The reply to a turn, piece by piece as it is made. What is said counts as heard."""
        context, memory, said = self._context, self._context.memory, ""
        memory.turn += 1
        answer = Answer(
            Request(memory.turn, text=text),
            context,
            Toolbox(context, self._over),
            emit=lambda message: None,
            mark=lambda span: None,
        )
        async for piece in answer.pieces():
            said += piece
            yield piece
        memory.history = [*memory.history, Exchange(text, said.strip())]


class Peer:
    """A server: models, warmed in the background, and the routes that the client asks before it calls."""

    def __init__(self) -> None:
        self._settings = Settings()
        self.services = services_from(self._settings)
        self._phrasebook = Phrasebook(ENGLISH)
        self._warm = asyncio.Event()
        self.app = FastAPI(lifespan=self._lifespan)
        self.app.include_router(self._routes())

    def brain(self) -> Brain:
        return Brain(self.services, self._phrasebook, self._settings)

    @contextlib.asynccontextmanager
    async def _lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        warming = asyncio.create_task(self._warm_up())
        yield
        warming.cancel()

    async def _warm_up(self) -> None:
        await asyncio.gather(*(service.warm() for service in self.services.all().values()))
        self._warm.set()

    def _routes(self) -> APIRouter:
        routes = APIRouter()

        @routes.get("/")
        async def page() -> str:
            return "a peer of the comparison"

        @routes.get("/readyz")
        async def ready() -> Response:
            return Response(status_code=200 if self._warm.is_set() else 503)

        @routes.post("/sessions", status_code=201)
        async def sessions() -> dict[str, str]:
            return {"session_id": secrets.token_hex(8), "token": "-"}

        return routes


def main(build: Callable[[argparse.Namespace], FastAPI]) -> None:
    """Serves what `build` makes of the flags, as `tests.bench.server.serve` starts it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--tuned", action="store_true", help="the peer's best settings in place of its defaults")
    args = parser.parse_args()
    uvicorn.run(build(args), host="127.0.0.1", port=args.port, log_level="warning", timeout_graceful_shutdown=3)
