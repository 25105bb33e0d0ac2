"""docs/security.md tells the limits that are in force: its figures are compared with the settings and constants."""

import re
from pathlib import Path

import pytest

from app.conversation import context, effects
from app.core.session_settings import MAX_INSTRUCTIONS
from app.protocol import messages as events
from app.settings import Settings
from app.tools.builtin import MOST as TIMERS
from server.store import commands as keys
from server.store import log_readers, queue, records
from server.transport import datagrams, http_server, intake, offers, pending
from server.web import routes as api

PAGE = (Path(__file__).parents[3] / "docs" / "security.md").read_text("utf-8")
DEFAULTS = Settings(_env_file=None)  # type: ignore[call-arg]


def row(beginning: str) -> str:
    [found] = [line for line in PAGE.splitlines() if line.startswith(f"| {beginning}")]
    return found.replace(",", "")


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`([a-z_]+_[a-z_]+)`", PAGE)) - {"pip_audit"}))
def test_every_setting_on_the_page_is_one(name: str) -> None:
    assert name in Settings.model_fields


@pytest.mark.parametrize(
    "name",
    "max_sessions max_per_address start_timeout_s idle_timeout_s request_timeout_s messages_per_second max_turn_s tool_timeout_s "
    "reply_timeout_s".split(),
)
def test_the_defaults_are_those_of_the_page(name: str) -> None:
    [line] = [line for line in PAGE.splitlines() if line.endswith(f"| `{name}` |")]
    assert re.search(rf"\| {getattr(DEFAULTS, name):g}\b", line)


@pytest.mark.parametrize(
    ("beginning", "figures"),
    [
        ("connections that have not started", (pending.WAITING, pending.WAITING_OF_ONE)),
        ("body of a request", (api.MAX_BODY // 1024, int(api.BODY_TIMEOUT_S))),
        ("session description", (offers.MAX_SDP // 1024, offers.MAX_CANDIDATES, offers.MAX_OF_A_KIND)),
        ("datagrams for its sockets", (datagrams.LEARNED, datagrams.LARGEST // 1024, datagrams.UNREAD)),
        ("STUN messages", (int(datagrams.CHECKS_PER_SECOND), int(datagrams.STRANGERS_PER_SECOND))),
        ("bad messages", (intake.MISTAKES,)),
        ("sound: 2 s", (int(intake.SOUND_RATE), int(intake.FLOOD_S), int(intake.SOUND_AT_ONCE_S))),
        ("one JSON message", (events.MAX_MESSAGE_BYTES // 1024, events.MAX_TEXT)),
        ("typed turns that wait", (effects.WAITING,)),
        ("settings of a conversation", (MAX_INSTRUCTIONS, events.MAX_TOKEN)),
        ("what a connection sends before", (intake.MAX_START_BYTES // 1024,)),
        ("timers of one", (TIMERS,)),
        ("turns in memory", (context.HISTORY, records.TURNS, records.RECORD_BYTES // 1000)),
        ("one session's log", (keys.LOG_ENTRIES, keys.LOG_BYTES // 1_000_000)),
        ("TCP connections", (http_server.MOST,)),
        ("a client that takes less", (http_server.SLOWEST // 1024, int(http_server.STALLED_S))),
        ("readers of logs", (log_readers.READERS, log_readers.EACH, log_readers.OF_ONE, int(log_readers.LEAST_S))),
        ("log entries that wait", (queue.CAPACITY,)),
    ],
)
def test_the_constants_are_those_of_the_page(beginning: str, figures: tuple[int, ...]) -> None:
    told = set(map(int, re.findall(r"\d+", row(beginning))))
    assert set(figures) <= told
