"""A server whose models are scripted, for fuzzers: `python -m tests.fuzz.server --port N`. All else of it is `app.py`, but that a
client may make mistakes and type as much as it likes."""

import random
import runpy
import sys
from dataclasses import replace

from server.bootstrap import service_factory as services_from
from server.transport import intake
from services.base import Intent, Services
from tests.unit.fakes import FakeIntent, fake_services

INTENTS = (
    "question", "greeting", "goodbye", "thanks", "repeat", "go_on", "stop", "help", "small_talk", "acknowledgement", "change_speed",
    "change_volume", "change_voice", "spell", "time", "date", "set_timer", "cancel_timer", "list_timers", "search", "out_of_scope",
)  # fmt: skip


class AnyIntent(FakeIntent):
    """Finds in each text some intent or other, and in the same text always the same."""

    async def classify(self, text: str) -> Intent:
        return Intent(random.Random(text).choice(INTENTS), 0.9)


def scripted() -> Services:
    return replace(fake_services(), intent=AnyIntent())


if __name__ == "__main__":
    services_from.services_from = lambda settings: scripted()
    intake.MISTAKES = intake.TEXTS_AT_ONCE = 10**9
    sys.argv[0] = "app.py"
    runpy.run_path("app.py", run_name="__main__")
