"""What people do while the agent speaks, with the real models in virtual time: coughs, acknowledgements, second thoughts, others
who talk in the room, a television that never ends."""

import numpy as np
import pytest

from app.settings import Settings
from tests.bench.client import Call
from tests.bench.clips import HERE, RATE, Audio, Clip, clips, load
from tests.bench.duplex import Overlap, over
from tests.bench.score import Kind, UserEvent, flinched
from tests.bench.takes import PROMPTS, SETTLE_S, cut_off, spoken
from tests.bench.virtual.call import Stage
from tests.bench.virtual.costs import Costs
from tests.bench.virtual.hold import Talk, hold
from tests.bench.virtual.room import at_level, in_a_room, level_dbfs

LINES = {clip.id: clip for clip in clips(HERE)}
USER = ("nat-533-1066-0007", "nat-533-1066-0009")  # two turns of one person
WEAKER_DB = -15.0  # somebody else in the room, against the user


@pytest.fixture(scope="module")
def stage() -> Stage:
    return Stage(Settings(_env_file=None, greeting=False, partial_every_ms=4000), Costs.load())  # type: ignore[call-arg]


def clip(name: str, audio: Audio, kind: str = "command") -> Clip:
    return Clip(name, kind, HERE, 0.0, len(audio) / RATE, edited=np.asarray(audio, np.float32))


def flite(name: str) -> Audio:
    return load(HERE / f"audio/over/{name}.flac")


def both(first: Audio, second: Audio, later_s: float) -> Audio:
    mixed = np.zeros(max(len(first), round(later_s * RATE) + len(second)), np.float32)
    mixed[: len(first)] += first
    mixed[round(later_s * RATE) : round(later_s * RATE) + len(second)] += second
    return mixed


def weaker(audio: Audio) -> Audio:
    """Somebody else, across the room from USER."""
    return in_a_room(at_level(audio, level_dbfs(LINES[USER[0]].audio) + WEAKER_DB))


ORDER, QUESTION = LINES["cmd-854ab616"].audio, LINES["open-vicuna_1"].audio
SNEEZE = load(HERE / "audio/noise/esc-person_sneeze-1-47273-A.flac")[: round(0.6 * RATE)]
OTHER = weaker(LINES["bg-1034-121119-0000"].audio)
GAP = np.zeros(round(0.35 * RATE), np.float32)
IGNORED = {
    "two coughs": np.concatenate([SNEEZE, GAP, SNEEZE]),
    "mm": LINES["bc-mm-easyturn1"].audio,
    "mm, mm": np.concatenate([LINES["bc-mm-easyturn1"].audio, GAP, LINES["bc-mm-easyturn1"].audio]),
    "okay, okay": np.concatenate([LINES["bc-okay-MEO069"].audio, GAP, LINES["bc-okay-MEO069"].audio]),
    "yeah, and a cough": np.concatenate([LINES["bc-yeah-FEO066"].audio, SNEEZE]),
    "somebody else": OTHER,
    "somebody else who wants something": weaker(QUESTION),
}
YIELDED_TO = {
    "okay, okay, stop": flite("awb-okay-stop"),
    "a cough, and an order": np.concatenate([SNEEZE, LINES[USER[1]].audio]),
    "the user, while somebody else talks": both(OTHER, LINES[USER[1]].audio, 1.2),
    "two at once": both(weaker(ORDER), LINES[USER[1]].audio, 0.0),
}


def talked_over(stage: Stage, name: str, audio: Audio, kind: Kind) -> bool | None:
    """The user has said something; then this sounds over the agent. Whether the agent stopped."""
    overlap = Overlap(kind, PROMPTS[0], clip(name, audio), 1.5, 0.0, LINES[USER[0]])
    [talk] = hold(stage, name, [overlap], over)
    [event] = talk.take.recorded.events
    return flinched(talk.take.recorded, event, throughout=True)


@pytest.mark.parametrize("name", IGNORED)
def test_the_agent_talks_on(stage: Stage, name: str) -> None:
    assert talked_over(stage, name, IGNORED[name], "non_directed") is not True


@pytest.mark.parametrize("name", YIELDED_TO)
def test_the_agent_stops(stage: Stage, name: str) -> None:
    assert talked_over(stage, name, YIELDED_TO[name], "interruption") is True


def television(seconds: float) -> Audio:
    """Talk without end, across the room."""
    said = [weaker(each.audio) for each in LINES.values() if each.kind == "utt"]
    return np.resize(np.concatenate(said), round(seconds * RATE))


async def beside_a_television(call: Call, minutes: float) -> list[UserEvent]:
    """The user asks, hears the answer, and talks over another, while a television goes on."""
    await call.quiet(SETTLE_S)
    first = spoken(LINES[USER[0]], await call.play(LINES[USER[0]]))
    await call.until(first.end)
    await cut_off(call, first.end)
    await call.quiet(SETTLE_S)
    await call.play(television(60 * minutes))
    asked = await call.say(PROMPTS[0])
    began = await call.audible(asked)
    assert began is not None
    await call.until(began + 8.0)  # the agent talks on
    over_it = spoken(LINES[USER[1]], await call.play(LINES[USER[1]]), "interruption")
    await call.until(over_it.end)
    await cut_off(call, over_it.end)
    after = spoken(LINES["open-vicuna_1"], await call.play(LINES["open-vicuna_1"], call.now() + 2.0))
    await call.until(after.end)
    await cut_off(call, after.end)
    return [UserEvent("non_directed", began + 1.0, began + 7.0), over_it, after]


def test_a_conversation_goes_on_beside_a_television(stage: Stage) -> None:
    talk: Talk
    [talk] = hold(stage, "television", [1.0], beside_a_television)
    ignored, over_it, after = talk.take.recorded.events
    assert flinched(talk.take.recorded, ignored, throughout=True) is not True
    assert flinched(talk.take.recorded, over_it) is True
    assert any(after.end < start < after.end + 4.0 for start, _ in talk.replies)
