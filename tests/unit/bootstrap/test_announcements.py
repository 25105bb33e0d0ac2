"""What the conversations are told of a service that fails, however often it is asked."""

from app.core.session_settings import SessionSettings
from app.dialogue.phrasebook import Phrasebook
from app.protocol.messages import ServerMessage
from app.settings import Settings
from languages import find
from server.bootstrap.application import Conversations
from tests.unit.fakes import fake_services
from tests.unit.virtual_time import run


def test_a_failure_is_told_once_a_reply_and_after_each_recovery() -> None:
    async def scene() -> list[str]:
        services, told = fake_services(), []

        def hear(message: ServerMessage) -> None:
            told.append(getattr(message, "code", message.type))

        conversations = Conversations(Settings(_env_file=None), services, Phrasebook(find("en")), None)  # type: ignore[arg-type, call-arg]
        session = conversations.make("s", None, SessionSettings())
        session.attach(hear)
        told.clear()
        for _ in range(3):
            services.health.failed("tts", "away")
        services.health.failed("stt", "away")
        session.memory.generation += 1
        services.health.failed("tts", "away")
        services.health.failed("tts", "away")
        services.health.worked("tts")
        services.health.failed("tts", "away")
        return told

    assert run(scene()) == ["tts_degraded", "stt_degraded", "tts_degraded", "tts_restored", "tts_degraded"]
