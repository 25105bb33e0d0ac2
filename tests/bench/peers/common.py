"""What every peer gets: the embedded models and the same answers, and the part of our HTTP interface that the client speaks."""

import argparse
import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Callable

import uvicorn
from fastapi import APIRouter, FastAPI, Response

from app.dialogue import Dialogue, Memory, Phrasebook
from app.settings import Settings
from services import embedded
from services.base import Exchange, Question, Services


class Brain:
    """The answers of `app.reply` for one conversation, without its streaming pipeline."""

    def __init__(self, services: Services, phrasebook: Phrasebook) -> None:
        self._services = services
        self._dialogue = Dialogue(phrasebook, services.retrieval.topics())
        self._memory = Memory()

    async def answer(self, text: str) -> AsyncIterator[str]:
        """The reply to a turn, sentence by sentence as it is made. What is said counts as heard."""
        intent, passages = await asyncio.gather(
            self._services.intent.classify(text), self._services.retrieval.search(text, history=self._memory.history)
        )
        said = []
        act = self._dialogue.conduct(intent, text, self._memory)
        if act is not None:
            said = list(act.clauses)
            for clause in said:
                yield clause + " "
        else:
            async for piece in self._services.llm.answer(Question(text, intent, passages, self._memory.history)):
                said.append(piece.strip())
                yield piece
        if not said:
            yield self._dialogue.line("unknown")
        self._memory.history = [*self._memory.history, Exchange(text, " ".join(said))]


class Peer:
    """A server: models, warmed in the background, and the routes that the client asks before it calls."""

    def __init__(self) -> None:
        settings = Settings()
        self.services = embedded(settings.weights_dir, settings.weights_dir / "computed", settings.knowledge)
        self._phrasebook = Phrasebook()
        self._warm = asyncio.Event()
        self.app = FastAPI(lifespan=self._lifespan)
        self.app.include_router(self._routes())

    def brain(self) -> Brain:
        return Brain(self.services, self._phrasebook)

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
