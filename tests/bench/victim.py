"""`python -m tests.bench.victim FOLDER`: an app with conversations that go on until it is killed. Prints, as JSON lines, what each
one remembers when it begins and, after each acknowledgement, what its listener knows was heard."""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

from app.conversation.session import Session
from app.settings import Settings
from server.sessions.recorder import StoreRecorder, memory_of, record_of
from server.store.store import Store
from tests.bench.scripted import Listener

SESSIONS = ("a", "b", "c", "d")


def tell(event: str, session_id: str, **facts: Any) -> None:
    print(json.dumps({"event": event, "at": time.monotonic(), "session": session_id, **facts}), flush=True)


class Victim(Listener):
    def acknowledged(self, session: Session) -> None:
        record = record_of(session.context)
        if record.history:
            tell("heard", session.id, user=record.history[-1].user, heard=record.history[-1].heard)


async def live(session_id: str, store: Store) -> None:
    record = await store.claim(session_id)
    caller = Victim(session_id, StoreRecorder(store))
    memory = caller.session.memory
    if record is not None:
        past = memory_of(record)
        memory.history, memory.unheard = past.history, past.unheard
        tell("resumed", session_id, history=[(e.user, e.heard) for e in past.history], unheard=past.unheard)
    async with caller:
        while True:
            await caller.ask(f"{session_id} at {time.monotonic_ns()}")
            await caller.until("LISTENING")


async def main(folder: Path) -> None:
    settings = Settings(_env_file=None, redis_url="", data_dir=folder)  # type: ignore[call-arg]
    async with Store(settings) as store, asyncio.TaskGroup() as group:
        for session_id in SESSIONS:
            group.create_task(live(session_id, store))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
