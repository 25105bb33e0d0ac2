"""What the page makes of a conversation: everything escaped, the unheard struck out, the times drawn."""

import re
from html.parser import HTMLParser

import pytest

from app.protocol.messages import AgentResponse, Latency, TranscriptUpdate
from app.protocol.view import Turn, View, Viewer
from server.web.gradio_gate import Pending
from server.web.rendering import render

NASTY = '</p><script>alert("x")</script>&'


def turn(user: str = "Why?", agent: str = "Because it is so.", heard: str | None = None, **latency: float) -> Turn:
    return Turn(user=user, agent=agent, heard=heard, interrupted=False, sources=[], latency=latency)


def shown(*turns: Turn) -> View:
    return View(state="SPEAKING", caption="", caption_final=False, turns=list(turns), spreads={})


def transcript(turn: Turn) -> str:
    return render(shown(turn))[2]


def latency(*measured: dict[str, float]) -> str:
    return render(shown(*(turn(**spans) for spans in measured)))[4]


class Tags(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)


def test_whatever_was_said_typed_or_known_stays_text() -> None:
    said = turn(NASTY, NASTY, heard=NASTY.split()[0])
    said["sources"] = [{"title": NASTY, "score": 0.5}]
    html = "".join(render({"state": "SPEAKING", "caption": NASTY, "caption_final": False, "turns": [said], "spreads": {}}))
    assert "script" not in Tags(html).names
    assert html.count("&lt;script&gt;") == 4


@pytest.mark.parametrize(
    ("heard", "struck"), [(None, None), ("", "Because it is so."), ("Because it", "is so."), ("Because it is so.", None)]
)
def test_words_that_were_not_heard_are_struck_out(heard: str | None, struck: str | None) -> None:
    html = transcript(turn(heard=heard))
    found = re.search(r"<del><span class=\"aside\" dir=\"ltr\">not heard: </span>(.*?)</del>", html)
    assert (found and found[1]) == struck


def test_a_turn_of_the_agents_own_shows_no_user() -> None:
    assert "<b>You</b>" not in transcript(turn(user=""))


def test_what_was_not_understood_is_shown() -> None:
    viewer = Viewer()
    viewer.follow(TranscriptUpdate(text="", final=True, turn=1, revision=0, understood=False))
    viewer.follow(AgentResponse(text="Sorry, I didn't catch that.", final=True, turn=0, generation=1))
    _, caption, said, *_ = render(viewer.look())
    assert "(not understood)" in caption
    assert re.findall(r"</b>([^<]*)</p>", said) == ["(not understood)", "Sorry, I didn&#39;t catch that."]


def test_latency_shows_the_newest_answer_and_its_way() -> None:
    html = latency({"first_audio_heard": 200.0}, {"stt_final": 90.0, "first_audio_heard": 400.0, "silent": 250.0})
    assert "<strong>400&nbsp;ms</strong>" in html
    assert "<strong>250&nbsp;ms</strong>" in html
    assert 'aria-label="Speech to text 90 ms, Sound heard 400 ms"' in html
    assert "half within" not in html


def test_latency_shows_the_spread_of_each_span_over_the_conversation() -> None:
    viewer = Viewer()
    viewer.follow(Latency(turn=0, spans={"first_audio_heard": 9000.0}))  # the greeting answers nobody
    for n in range(1, 6):
        viewer.follow(TranscriptUpdate(text="Why?", final=True, turn=n, revision=0))
        viewer.follow(Latency(turn=n, spans={"stt_final": 50.0 + n, "first_audio_heard": 100.0 * n}))
    html = render(viewer.look())[-1]
    assert re.findall(r'class="spread"[^>]*>([^<]*)<', html) == ["median", "95 %", "53", "55", "300", "480"]
    assert "Sound heard 500 ms (median 300, 95 % within 480)" in html


def test_bars_follow_each_other_in_time_and_speculation_before_the_end_of_speech_counts_as_none() -> None:
    html = latency({"first_audio_ready": 100.0, "stt_final": -30.0, "first_clause": 50.0})
    bars = [(float(x), float(width)) for x, width in re.findall(r'<rect x="([\d.]+)" y="\d+" width="([\d.]+)"', html)]
    assert bars == [(108.0, 2.0), (108.0, 90.0), (198.0, 90.0)]


def test_nothing_yet_is_said_in_words() -> None:
    view: View = {"state": "LISTENING", "caption": "", "caption_final": False, "turns": [], "spreads": {}}
    assert [part.count("empty") for part in render(view)] == [0, 1, 1, 1, 1]


def test_what_was_said_runs_in_its_own_direction() -> None:
    """The names before it are no part of what `dir="auto"` looks at."""
    html = transcript(turn("\u05e9\u05dc\u05d5\u05dd", "\u0645\u0631\u062d\u0628\u0627", heard=""))
    assert re.findall(r"<p [^>]*dir=\"(\w+)\"><b dir=\"(\w+)\">", html) == [("auto", "ltr")] * 2
    assert '<span class="aside" dir="ltr">' in html


def test_what_is_said_to_a_page_that_has_gone_is_kept_for_nobody() -> None:
    """Gradio's own table raises KeyError, and its queue prints that to the log."""
    waiting = Pending(8)
    waiting["gone"].put_nowait("a view")
    assert "gone" not in waiting and not len(waiting)
    del waiting["gone"]
