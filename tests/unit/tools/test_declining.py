"""People who do not want a timer, who want one though it sounds as if they did not, and who change their mind."""

import pytest

from app.dialogue.memory import Memory, Timer
from languages.en.wishes import wanted
from tests.unit.tools.test_registry import said

RUNNING = Timer(1_700_000_300_000.0, 300)

DECLINED = [
    "Don't bother setting a timer.",
    "No need for a timer, thanks.",
    "I'd rather you didn't set an alarm.",
    "Please don't wake me at seven.",
    "There's no need to remind me at five.",
    "I don't think I need a timer for this.",
    "Let's not set an alarm for six.",
    "I won't be needing a timer for ten minutes.",
    "No timer please.",
    "No alarm tomorrow, please.",
    "Never set an alarm for five in the morning.",
    "I said don't set a timer for five minutes!",
    "I never asked you to set a timer for ten minutes.",
    "I didn't ask for a timer.",
    "Stop reminding me in ten minutes.",
    "You shouldn't set a timer for ten minutes.",
    "Not a timer for five minutes, please.",
    "Leave the timer alone.",
    "I changed my mind, no timer.",
    "Hold off on the timer for ten minutes.",
    "Set a timer for five minutes. Actually, don't.",
    "Set a timer for five minutes. No, wait, never mind.",
    "Remind me to call mom at five. On second thought, don't.",
    # Written after the rule was:
    "Do not bother with an alarm.",
    "There is no need for a reminder.",
    "Please don't start a countdown.",
    "I'd prefer no alarm tomorrow.",
    "Skip the alarm for tomorrow.",
    "I do not want an alarm at six.",
    "We won't need a timer.",
    "You needn't wake me.",
    "Set an alarm for six, no, forget it.",
]
ORDERED = [
    ("Don't let me forget to call mom at five p.m.", 0),
    ("I don't want to burn the eggs, set a timer for six minutes.", 360),
    ("Don't forget to set a timer for ten minutes.", 600),
    ("I can't be late, wake me at seven.", 0),
    ("Why don't you set a timer for ten minutes?", 600),
    ("Remind me not to drink coffee at five p.m.", 0),
    ("Remind me in ten minutes that I don't need to cook.", 600),
    ("Set a timer for ten minutes so I don't forget the pasta.", 600),
    ("I don't have a watch, can you set a timer for five minutes?", 300),
    ("It's not done yet, set another timer for two minutes.", 120),
    ("Never mind the noise, set a timer for three minutes.", 180),
    ("Couldn't you set a timer for four minutes?", 240),
    ("Don't wait, set a timer for five minutes.", 300),
    ("I don't need a long timer, just five minutes.", 300),
    ("Wake me at six, I don't want to miss the train.", 0),
    ("If I don't answer, remind me in ten minutes.", 600),
    ("Don't set it for five minutes, set a timer for ten minutes.", 600),
    # Written after the rule was:
    ("Don't you think you should set a timer for ten minutes?", 600),
    ("I won't hear the oven, set a timer for ten minutes.", 600),
    ("Set a timer for ten minutes, not that I need it.", 600),
    ("No problem, set a timer for five minutes.", 300),
    ("I'm not sure, set a timer for eight minutes anyway.", 480),
    ("Wake me at six, don't be late.", 0),
    ("There is no time, set a timer for one minute.", 60),
    ("Set the alarm for seven and don't let me oversleep.", 0),
    ("I need a timer for nine minutes, don't ask why.", 540),
]


@pytest.mark.parametrize("text", DECLINED)
def test_what_is_declined_in_other_words_is_not_done(text: str) -> None:
    assert wanted("set_timer", text, [RUNNING]) == "no"


@pytest.mark.parametrize(("text", "seconds"), ORDERED)
def test_what_is_ordered_though_it_sounds_declined_is_done(text: str, seconds: float) -> None:
    memory = Memory()
    assert wanted("set_timer", text, []) == "set_timer"
    said("set_timer", text, memory)
    assert len(memory.timers) == 1 and (not seconds or memory.timers[0].length_s == seconds)
