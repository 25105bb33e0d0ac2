"""The page: Gradio components that show what `AdditionalOutputs` bring, around FastRTC's component. Sound, control messages
and everything urgent live in ui/parley.js; nothing here is waited for."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from itertools import count
from typing import Any

import gradio as gr
from fastapi import FastAPI
from fastrtc import Stream, WebRTC
from starlette.routing import Mount

from app.protocol.messages import State
from app.protocol.view import Passage, Spread, Turn, View
from app.web.gradio_gate import GradioGate, Views

ASSETS = files(__package__) / "static"
PAGES = 200  # open at once: of so many Gradio keeps what they show

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
LINK = '<p id="parley-link" role="status">Not connected</p><p id="parley-notice" role="alert"></p>'  # written by parley.js
SPREAD_FROM = 5  # values: the spread of fewer says nothing
_views = count()
LABEL_WIDTH, BAR_WIDTH, VALUE_WIDTH, SPREAD_WIDTH, ROW_HEIGHT = 108, 180, 44, 50, 22  # units of the drawing


def render(view: View) -> tuple[str, str, str, str, str]:
    """The HTML of state, captions, transcript, passages and latency, all text escaped."""
    turns = view["turns"]
    return (
        render_state(view["state"]),
        render_caption(view["caption"], view["caption_final"]),
        render_transcript(turns),
        render_sources(turns[-1]["sources"] if turns else []),
        render_latency([turn["latency"] for turn in turns if turn["user"]], view["spreads"]),
    )


def render_state(state: State) -> str:
    """The state, for the eye and for a screen reader."""
    label, hint = STATES[state]
    return f'<p class="badge" data-state="{state}"><b>{label}</b><span>{hint}</span></p>'


def render_caption(text: str, final: bool) -> str:
    """`data-view` is new with each view: by it the page's script sees whether views still arrive."""
    view = next(_views)
    if not text:
        return f'<p class="caption empty" data-view="{view}">Your words appear here while you speak.</p>'
    return f'<p class="caption" data-view="{view}" data-final="{str(final).lower()}">{escape(text)}</p>'


def render_transcript(turns: Sequence[Turn]) -> str:
    """The turns so far."""
    if not turns:
        return '<p class="empty">Nothing has been said yet. Ask how Parley works, or what a barge-in is.</p>'
    scroller = 'class="transcript" tabindex="0" role="log" aria-live="off" aria-label="Conversation"'
    return f"<div {scroller}><ol>{''.join(map(_render_turn, turns))}</ol></div>"


def _render_turn(turn: Turn) -> str:
    lines = []
    if turn["user"]:
        lines.append(f'<p class="user"><b>You</b>{escape(turn["user"])}</p>')
    if turn["agent"]:
        words = turn["agent"].split()
        count = len(words) if turn["heard"] is None else len(turn["heard"].split())
        heard, unheard = escape(" ".join(words[:count])), escape(" ".join(words[count:]))
        lost = f' <del><span class="aside">not heard: </span>{unheard}</del>' if unheard else ""
        stopped = ' <small class="mark">interrupted</small>' if turn["interrupted"] else ""
        lines.append(f'<p class="agent"><b>Parley</b>{heard}{lost}{stopped}</p>')
    return f"<li>{''.join(lines)}</li>"


def render_sources(sources: Sequence[Passage]) -> str:
    """The passages that the last reply was made from."""
    if not sources:
        return '<p class="empty">The last answer used no passage.</p>'
    rows = (
        f"<li><span>{escape(source['title'])}</span>"
        f'<span class="match"><i style="width: {100 * min(1.0, max(0.0, source["score"])):.0f}%"></i></span>'
        f"<small>{source['score']:.2f}</small></li>"
        for source in sources
    )
    return f'<ol class="sources">{"".join(rows)}</ol>'


def render_latency(turns: Sequence[dict[str, float]], spreads: Mapping[str, Spread]) -> str:
    """The last measured turn as a waterfall, and beside each of its spans the spread over the conversation."""
    replies = [(head, spans) for spans in turns if (head := _headline(spans)) is not None]
    stops = [spans for spans in turns if "silent" in spans]
    if not replies and not stops:
        return '<p class="empty">Measured at the first answer.</p>'
    parts = []
    if replies:
        head, spans = replies[-1]
        what = "from the end of your turn to the first sound of the answer"
        parts.append(_figure(head, what, _waterfall(spans, REPLY_SPANS, spreads)))
    if stops:
        what = "from your interruption to silence"
        parts.append(_figure(stops[-1]["silent"], what, _waterfall(stops[-1], STOP_SPANS, spreads)))
    return f'<div class="latency">{"".join(parts)}</div>'


def _headline(spans: dict[str, float]) -> float | None:
    """The last mark that a reply reached on its way to the ear."""
    names = ("first_audio_heard", "first_audio_sent", "first_audio_ready")
    return next((spans[name] for name in names if name in spans), None)


def _figure(value: float, what: str, drawing: str) -> str:
    return f"<section><p><strong>{value:.0f}&nbsp;ms</strong> {what}</p>{drawing}</section>"


def _waterfall(spans: dict[str, float], names: dict[str, str], spreads: Mapping[str, Spread]) -> str:
    """Inline SVG: one row a mark, its bar reaching from the mark before it (in time) to its own; at the right, once there are
    SPREAD_FROM values, the median and what 95 % of the conversation's turns stayed within."""
    marks = sorted(((max(0.0, spans[name]), name) for name in names if name in spans), key=lambda mark: mark[0])
    scale = BAR_WIDTH / max(marks[-1][0], 1.0)
    known = {name: spread for _, name in marks if (spread := spreads.get(name)) and spread.turns >= SPREAD_FROM}
    right = LABEL_WIDTH + BAR_WIDTH + VALUE_WIDTH
    rows, words, begin = [_spread("median", "95 %", right, 0)] if known else [], [], 0.0
    for row, (value, name) in enumerate(marks, start=bool(known)):
        label = names[name]
        y, left, width = row * ROW_HEIGHT, LABEL_WIDTH + begin * scale, max(2.0, (value - begin) * scale)
        words.append(f"{label} {value:.0f} ms")
        rows.append(
            f'<text x="0" y="{y + 15}">{label}</text>'
            f'<rect x="{left:.1f}" y="{y + 4}" width="{width:.1f}" height="14" rx="3"/>'
            f'<text x="{left + width + 6:.1f}" y="{y + 15}">{value:.0f}</text>'
        )
        if spread := known.get(name):
            rows.append(_spread(f"{spread.p50:.0f}", f"{spread.p95:.0f}", right, y))
            words[-1] += f" (median {spread.p50:.0f}, 95 % within {spread.p95:.0f})"
        begin = value
    size = f"{right + 2 * SPREAD_WIDTH * bool(known)} {(len(marks) + bool(known)) * ROW_HEIGHT}"
    return f'<svg viewBox="0 0 {size}" role="img" aria-label="{escape(", ".join(words))}">{"".join(rows)}</svg>'


def _spread(half: str, most: str, x: int, y: int) -> str:
    """Two right-aligned columns from `x` on."""
    columns = enumerate((half, most), start=1)
    return "".join(f'<text class="spread" x="{x + n * SPREAD_WIDTH}" y="{y + 15}">{text}</text>' for n, text in columns)


@dataclass(frozen=True, slots=True)
class _Parts:
    """The components of the page that are given something to do."""

    call: WebRTC
    start: gr.Button
    stop: gr.Button
    interrupt: gr.Button
    text: gr.Textbox
    shown: tuple[gr.HTML, ...]  # what `render` fills, in its order


def build(stream: Stream, views: Views) -> gr.Blocks:
    """The page of `stream`. It takes the place of the stream's own page: `stream.ui` and `stream.webrtc_component` are set."""
    with gr.Blocks(title="Parley", theme=_theme(), analytics_enabled=False, head=_head(), fill_width=True) as page:
        parts = _lay_out(stream)
        _connect(page, parts, stream, views)
    page._queue.max_thread_count = PAGES
    page.state_session_capacity = PAGES
    stream.webrtc_component = parts.call
    stream.ui = page
    return page


def _lay_out(stream: Stream) -> _Parts:
    gr.HTML("<header><h1>Parley</h1><p>A voice agent you can talk over.</p></header>", elem_id="parley-head", padding=False)
    with gr.Row(elem_id="parley-main"):
        with gr.Column(elem_id="parley-call"):
            gr.HTML(LINK, elem_id="parley-status", padding=False)
            state = gr.HTML(render_state("IDLE"), elem_id="parley-state", padding=False)
            call = _microphone(stream)
            with gr.Row(elem_id="parley-buttons"):
                start = gr.Button("Start", variant="primary", elem_id="parley-start")
                stop = gr.Button("Stop", variant="stop", elem_id="parley-stop")
                interrupt = gr.Button("Interrupt", elem_id="parley-interrupt")
            caption = gr.HTML(render_caption("", False), elem_id="parley-caption", padding=False)
            text = gr.Textbox(label="Or type", placeholder="Type and press Enter", max_length=2000, elem_id="parley-text")
        with gr.Column(elem_id="parley-said"):
            gr.HTML("<h2>Conversation</h2>", padding=False)
            transcript = gr.HTML(render_transcript([]), elem_id="parley-transcript", padding=False)
    with gr.Row(elem_id="parley-facts"):
        with gr.Column(elem_id="parley-used"):
            gr.HTML("<h2>Passages used</h2>", padding=False)
            sources = gr.HTML(render_sources([]), elem_id="parley-sources", padding=False)
        with gr.Column():
            gr.HTML("<h2>Latency</h2>", padding=False)
            latency = gr.HTML(render_latency([], {}), elem_id="parley-latency", padding=False)
    return _Parts(call, start, stop, interrupt, text, (state, caption, transcript, sources, latency))


def _microphone(stream: Stream) -> WebRTC:
    call = WebRTC(
        label="Microphone",
        modality="audio",
        mode="send-receive",
        rtc_configuration=stream.rtc_configuration,
        # Wishes, not demands: a device that cannot do one of them still works.
        track_constraints={"echoCancellation": True, "noiseSuppression": True, "autoGainControl": True},
        elem_id="parley-device",
    )
    call.server_rtc_configuration = stream.server_rtc_configuration
    return call


def _connect(page: gr.Blocks, parts: _Parts, stream: Stream, views: Views) -> None:
    """What happens when somebody clicks, types or calls."""
    call = parts.call

    async def show(name: str) -> AsyncIterator[tuple[str, ...]]:
        async for outputs in views.follow(name, call.output_stream(name)):
            yield render(*outputs.args)

    call.stream(stream.event_handler, inputs=[call], outputs=[call], concurrency_limit=stream.concurrency_limit)
    # One generator runs for each open page as long as it is connected: a limit would leave later pages without a view.
    once = {"trigger_mode": "once", "show_progress": "minimal"}
    views.function = call.state_change(show, inputs=[call], outputs=[*parts.shown], concurrency_limit=None, **once)["id"]
    page.load(None, js="() => parley.ready()")
    parts.start.click(None, js="() => parley.start()")
    parts.stop.click(None, js="() => parley.stop()")
    parts.interrupt.click(None, js="() => parley.interrupt()")
    parts.text.submit(None, inputs=parts.text, outputs=parts.text, js="(text) => parley.say(text)")


def mount(app: FastAPI, stream: Stream, views: Views, path: str, node_url: str = "") -> None:
    """Serves the page of `stream` under `path` of `app`, fenced in. `node_url`: see `GradioGate`."""
    gr.mount_gradio_app(app, stream.ui, path, ssr_mode=False, show_error=False, show_api=False)
    place = app.routes[-1]
    assert isinstance(place, Mount)  # what Gradio has just added
    gradio: Any = place.app
    gradio.debug = False  # it shows tracebacks to everybody
    place.app = GradioGate(gradio, stream.ui, stream.webrtc_component, views, node_url)


def _head() -> str:
    """Script and style. The style goes this way because Gradio confines what it gets as `css` to its own container."""
    script, style = ((ASSETS / name).read_text("utf-8") for name in ("parley.js", "parley.css"))
    return f"<style>{style}</style><script>{script}</script>"


def _theme() -> gr.themes.Base:
    """System fonts: the page loads nothing from elsewhere."""
    fonts = [gr.themes.Font(name) for name in ("system-ui", "-apple-system", "Segoe UI", "sans-serif")]
    return gr.themes.Base(primary_hue="teal", neutral_hue="slate", font=fonts, font_mono=[gr.themes.Font("monospace")])
