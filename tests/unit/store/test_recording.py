"""What is written down of a conversation is enough to go on with it, whenever it ends, and to run it again."""

import asyncio
import json
from typing import Any

import pytest

from app.dialogue.memory import Timer
from app.protocol.messages import PlaybackProgress, PlaybackStopped, Text
from configuration.redaction import withhold
from server.replay import Rerun, replay
from server.sessions.recorder import StoreRecorder, memory_of, record_of
from server.store.records import SessionRecord, encode
from tests.unit.fakes import Caller
from tests.unit.virtual_time import run


class Kept:
    """A store that keeps everything in a list."""

    def __init__(self) -> None:
        self.records: list[SessionRecord] = []
        self.entries: list[dict[str, Any]] = []
        self.figures: list[dict[str, Any]] = []

    def save(self, record: SessionRecord) -> None:
        self.records.append(SessionRecord.model_validate_json(encode(record.model_dump())))

    def log(self, session_id: str, entry: dict[str, Any]) -> None:
        stamped = {"seq": len(self.entries) + 1, "at_ms": asyncio.get_running_loop().time() * 1000, **entry}
        self.entries.append(json.loads(encode(stamped)))

    def latency(self, entry: dict[str, Any]) -> None:
        self.figures.append(entry)


def kept_caller(**settings: object) -> tuple[Caller, Kept]:
    caller, kept = Caller(**settings), Kept()  # type: ignore[arg-type]
    caller.session.context.recorder = StoreRecorder(kept)  # type: ignore[arg-type]
    return caller, kept


async def until_sent(caller: Caller, ms: float) -> None:
    for _ in range(10_000):
        if caller.session.player.audible_ms >= ms:
            return
        await asyncio.sleep(0.01)
    pytest.fail(f"{ms} ms were never sent")


def test_what_another_version_has_written_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    """In a rolling update a conversation may go back and forth between two versions."""
    timer = {"due_ms": 5.0, "length_s": 60.0, "about": "", "name": "tea", "repeats": True}
    profile = {"speed": 1.2, "gain": {"left": 1.0}, "mood": "good", "timers": [timer, {"at": "noon"}, "tea"]}
    memory = memory_of(SessionRecord(session_id="s", turn=3, profile=profile))
    assert (memory.speed, memory.gain, memory.turn) == (1.2, 1.0, 3)
    assert memory.timers == [Timer(due_ms=5.0, length_s=60.0, name="tea")]
    assert caplog.text.count("another version") == 3
    assert memory_of(SessionRecord(session_id="s", profile={"timers": None})).timers == []


def test_a_reply_under_way_is_remembered_by_what_the_listener_acknowledged() -> None:
    """FakeTts speaks a word in 250 ms; the first clause has five words."""

    async def scene() -> Kept:
        caller, kept = kept_caller(acknowledges=False)
        async with caller:
            caller.session.receive(Text(text="hello there"))
            await until_sent(caller, 3000)
            generation = kept.records[-1].generation
            caller.session.receive(PlaybackProgress(generation=generation, played_ms=1760))
            return as_it_is(kept)

    record = run(scene()).records[-1]
    assert (record.state, record.acked_ms) == ("SPEAKING", 1760)
    assert [(e.user, e.heard) for e in record.history] == [("hello there", "The first sentence is here. The second")]
    memory = memory_of(record)
    assert memory.unheard == ["The second one follows now.", "And this is the third of them."]
    assert memory.history == list(record.history)


def as_it_is(kept: Kept) -> Kept:
    """A copy: what comes later (the orderly end of the scene) does not count."""
    copy = Kept()
    copy.records, copy.entries, copy.figures = list(kept.records), list(kept.entries), list(kept.figures)
    return copy


@pytest.mark.parametrize("state", ["THINKING", "SPEAKING", "INTERRUPTED"])
def test_the_record_before_an_end_and_after_it_remember_the_same(state: str) -> None:
    """Killed or disconnected: the resumed conversation is the same, save that an end in order may estimate what was heard."""

    async def scene() -> tuple[SessionRecord, SessionRecord]:
        caller, kept = kept_caller(acknowledges=False)
        async with caller:
            caller.session.receive(Text(text="hello there"))
            if state != "THINKING":
                await until_sent(caller, 2000)
            if state == "INTERRUPTED":
                caller.session.receive(Text(text="and another thing"))
            if state != "THINKING":
                generation = record_of(caller.session.context).generation
                caller.session.receive(PlaybackProgress(generation=generation, played_ms=caller.session.player.ledger.sent_ms))  # type: ignore[union-attr]
            assert caller.session.state == state
            killed = record_of(caller.session.context)
            caller.session.disconnect("gone")
            return killed, kept.records[-1]

    killed, ended = run(scene())
    assert ended.state == "IDLE"
    assert memory_of(killed) == memory_of(ended)


def test_an_eventful_conversation_comes_out_the_same_when_its_log_is_run_again(capsys: pytest.CaptureFixture[str]) -> None:
    async def scene() -> Kept:
        caller, kept = kept_caller(greeting=True)
        async with caller:
            await caller.until("SPEAKING")
            await caller.until("LISTENING")
            await caller.say(1.0)
            await caller.until("SPEAKING")
            await until_sent(caller, 800)
            await caller.say(1.2)
            await caller.until("SPEAKING")
            caller.session.receive(PlaybackStopped(generation=99, played_ms=5))
            caller.session.receive(Text(text="never mind"))
            await caller.until("SPEAKING")
            await caller.until("LISTENING")
        return kept

    kept = run(scene())
    rerun = replay(kept.entries)
    assert rerun.faults == [] and rerun.events > 15
    assert {entry["next"] for entry in kept.entries if entry["kind"] == "event"} >= {"SPEAKING", "INTERRUPTED", "IDLE"}
    printed = capsys.readouterr().out
    assert "user: how does it work" in printed and "heard: The first sentence" in printed
    assert kept.figures[-1]["session"] == "test" and "first_audio_sent" in kept.figures[-1]["spans"]
    assert replay([withhold(entry) for entry in kept.entries]).faults == [], "a log without texts can be run again as well"
    for at, entry in enumerate(kept.entries):
        if entry["kind"] == "event" and entry["state"] != entry["next"]:
            bent = [*kept.entries[:at], {**entry, "next": entry["state"]}, *kept.entries[at + 1 :]]
            assert replay(bent).faults, f"a changed state at #{entry['seq']} was not noticed"
        if at + 1 < len(kept.entries):
            gap = [*kept.entries[:at], *kept.entries[at + 1 :]]
            assert replay(gap).faults, f"the loss of #{entry['seq']} was not noticed"


def test_a_rerun_accepts_a_killed_process_and_a_counted_loss_but_no_silent_one() -> None:
    def event(seq: int, state: str, type_: str, next_: str, **fields: object) -> dict[str, Any]:
        return {"seq": seq, "at_ms": 0, "kind": "event", "state": state, "next": next_, "event": {"type": type_, **fields}}

    started = event(1, "IDLE", "session_started", "LISTENING", greeting=False, resumed=False)
    killed = [started, event(2, "LISTENING", "text", "THINKING", text="hello"), {**started, "seq": 3}]
    assert replay(killed).faults == []
    spoke = event(3, "SPEAKING", "interrupt", "INTERRUPTED")
    assert replay([started, {"seq": 2, "at_ms": 0, "kind": "dropped", "count": 4}, spoke]).faults == []
    [fault] = replay([started, {"seq": 2, "at_ms": 0, "kind": "error"}, spoke]).faults
    assert "logged in SPEAKING, but the run is in LISTENING" in fault
    refused = {"seq": 2, "at_ms": 0, "kind": "illegal", "state": "LISTENING", "event": {"type": "barge_in", "at_ms": 5.0}}
    assert replay([started, refused]).faults == []
    [fault] = replay([started, {**refused, "event": {"type": "stop"}}]).faults
    assert "now to IDLE" in fault
    assert isinstance(Rerun().faults, list)
