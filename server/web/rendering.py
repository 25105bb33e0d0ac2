"""The conversation on the page, as HTML (`templates/view.html`)."""

from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any

from jinja2 import Environment, PackageLoader

from app.protocol.messages import State
from app.protocol.view import Spread, View

STATES: dict[State, tuple[str, str]] = {
    "IDLE": ("Ready", "One moment."),
    "LISTENING": ("Listening", "Speak whenever you like."),
    "THINKING": ("Thinking", "Go on if you were not done."),
    "SPEAKING": ("Speaking", "You can talk over it."),
    "INTERRUPTED": ("Interrupted", "It has stopped and listens."),
}
# The spans of a reply and of an interruption in their order (see `app.core.latency`), and the words for them.
REPLY_SPANS = {
    "pause_detected": "Pause noticed",
    "stt_final": "Speech to text",
    "intent": "Intent",
    "retrieval": "Passages found",
    "first_token": "First word",
    "first_clause": "First clause",
    "first_audio_ready": "Voice ready",
    "first_audio_sent": "Sound sent",
    "first_audio_heard": "Sound heard",
}
STOP_SPANS = {"duck": "Turned down", "confirmed": "Interruption sure", "flushed": "Sound dropped", "silent": "Silence"}
HEADS = ("first_audio_heard", "first_audio_sent", "first_audio_ready")  # the last mark that a reply reached counts
SPREAD_FROM = 5  # values: the spread of fewer says nothing
LABEL_WIDTH, BAR_WIDTH, VALUE_WIDTH, SPREAD_WIDTH, ROW_HEIGHT = 108, 180, 44, 50, 22  # units of the drawing

_html: Any = Environment(loader=PackageLoader(__package__), autoescape=True).get_template("view.html").module
_views = count()


def render(view: View) -> tuple[str, ...]:
    """The HTML of state, captions, transcript, passages and latency, all text escaped."""
    turns = view["turns"]
    measured = [turn["latency"] for turn in turns if turn["user"]]
    parts = (
        _html.state(*STATES[view["state"]], view["state"]),
        _html.caption(view["caption"], view["caption_final"], next(_views)),
        _html.transcript(turns),
        _html.sources(turns[-1]["sources"] if turns else []),
        _html.latency(list(_figures(measured, view["spreads"]))),
    )
    return tuple(map(str, parts))


def _figures(turns: list[dict[str, float]], spreads: Mapping[str, Spread]) -> Iterator[dict[str, Any]]:
    """The last measured reply and the last interruption as waterfalls, and beside each of their spans the spread over the
    conversation."""
    for spans in [spans for spans in turns if any(name in spans for name in HEADS)][-1:]:
        ms = next(spans[name] for name in HEADS if name in spans)
        what = "from the end of your turn to the first sound of the answer"
        yield {"ms": ms, "what": what, **_waterfall(spans, REPLY_SPANS, spreads)}
    for spans in [spans for spans in turns if "silent" in spans][-1:]:
        yield {"ms": spans["silent"], "what": "from your interruption to silence", **_waterfall(spans, STOP_SPANS, spreads)}


def _waterfall(spans: dict[str, float], names: dict[str, str], spreads: Mapping[str, Spread]) -> dict[str, Any]:
    """One row a mark, its bar reaching from the mark before it (in time) to its own; at the right, once there are SPREAD_FROM
    values, the median and what 95 % of the conversation's turns stayed within."""
    marks = sorted(((max(0.0, spans[name]), name) for name in names if name in spans), key=lambda mark: mark[0])
    scale = BAR_WIDTH / max(marks[-1][0], 1.0)
    known = {name: spread for _, name in marks if (spread := spreads.get(name)) and spread.turns >= SPREAD_FROM}
    right, rows, words, begin = LABEL_WIDTH + BAR_WIDTH + VALUE_WIDTH, [], [], 0.0
    for number, (ms, name) in enumerate(marks, start=bool(known)):
        left, width = LABEL_WIDTH + begin * scale, max(2.0, (ms - begin) * scale)
        row = {
            "label": names[name],
            "y": number * ROW_HEIGHT,
            "left": left,
            "width": width,
            "ms": ms,
            "spread": known.get(name),
        }
        rows.append(row)
        told = f" (median {spread.p50:.0f}, 95 % within {spread.p95:.0f})" if (spread := known.get(name)) else ""
        words.append(f"{names[name]} {ms:.0f} ms{told}")
        begin = ms
    size = {"width": right + 2 * SPREAD_WIDTH * bool(known), "height": (len(marks) + bool(known)) * ROW_HEIGHT}
    return {"rows": rows, "words": words, "right": right, "spread": bool(known), **size}
