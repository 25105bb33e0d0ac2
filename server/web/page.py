"""The page: Gradio components that show the `AdditionalOutputs`, around FastRTC's component. Sound, control messages and
everything urgent live in static/parley.js; nothing here is waited for."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import gradio as gr
from fastapi import FastAPI
from fastrtc import Stream, WebRTC
from starlette.routing import Mount

from app.protocol.view import Viewer
from server.web.gradio_gate import GradioGate, Views
from server.web.rendering import render

ASSETS = files(__package__) / "static"
PAGES = 200  # open at once: of so many Gradio keeps what they show

LINK = '<p id="parley-link" role="status">Not connected</p><p id="parley-notice" role="alert"></p>'  # written by parley.js


@dataclass(frozen=True, slots=True)
class _Parts:
    """The components of the page that are given something to do."""

    call: WebRTC
    start: gr.Button
    stop: gr.Button
    interrupt: gr.Button
    text: gr.Textbox
    shown: tuple[gr.HTML, ...]  # what `render` fills, in its order


def build_page(stream: Stream, views: Views) -> gr.Blocks:
    """Builds the page of `stream`, in place of the stream's own page: `stream.ui` and `stream.webrtc_component` are set."""
    with gr.Blocks(title="Parley", theme=_theme(), analytics_enabled=False, head=_head(), fill_width=True) as page:
        parts = _lay_out(stream)
        _connect(page, parts, stream, views)
    page._queue.max_thread_count = PAGES
    page.state_session_capacity = PAGES
    stream.webrtc_component = parts.call
    stream.ui = page
    return page


def _lay_out(stream: Stream) -> _Parts:
    nothing = render(Viewer().look())
    gr.HTML("<header><h1>Parley</h1><p>A voice agent you can talk over.</p></header>", elem_id="parley-head", padding=False)
    with gr.Row(elem_id="parley-main"):
        with gr.Column(elem_id="parley-call"):
            gr.HTML(LINK, elem_id="parley-status", padding=False)
            state = gr.HTML(nothing[0], elem_id="parley-state", padding=False)
            call = _microphone(stream)
            with gr.Row(elem_id="parley-buttons"):
                start = gr.Button("Start", variant="primary", elem_id="parley-start")
                stop = gr.Button("Stop", variant="stop", elem_id="parley-stop")
                interrupt = gr.Button("Interrupt", elem_id="parley-interrupt")
            caption = gr.HTML(nothing[1], elem_id="parley-caption", padding=False)
            text = gr.Textbox(label="Or type", placeholder="Type and press Enter", max_length=2000, elem_id="parley-text")
        with gr.Column(elem_id="parley-said"):
            gr.HTML("<h2>Conversation</h2>", padding=False)
            transcript = gr.HTML(nothing[2], elem_id="parley-transcript", padding=False)
    with gr.Row(elem_id="parley-facts"):
        with gr.Column(elem_id="parley-used"):
            gr.HTML("<h2>Passages used</h2>", padding=False)
            sources = gr.HTML(nothing[3], elem_id="parley-sources", padding=False)
        with gr.Column():
            gr.HTML("<h2>Latency</h2>", padding=False)
            latency = gr.HTML(nothing[4], elem_id="parley-latency", padding=False)
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
    """Connects the components with what happens when somebody clicks, types or calls."""
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


def mount_page(app: FastAPI, stream: Stream, views: Views, path: str, node_url: str = "") -> None:
    """Serves the page of `stream` under `path` of `app`, behind a `GradioGate`, which explains `node_url`."""
    gr.mount_gradio_app(app, stream.ui, path, ssr_mode=False, show_error=False, show_api=False)
    place = app.routes[-1]
    assert isinstance(place, Mount)  # what Gradio has just added
    gradio: Any = place.app
    gradio.debug = False  # it shows tracebacks to everybody
    place.app = GradioGate(gradio, stream.ui, stream.webrtc_component, views, node_url)


def _head() -> str:
    """The script and the style of the page. The style goes this way because Gradio confines what it gets as `css` to its own
    container."""
    script, style = ((ASSETS / name).read_text("utf-8") for name in ("parley.js", "parley.css"))
    return f"<style>{style}</style><script>{script}</script>"


def _theme() -> gr.themes.Base:
    """A theme with system fonts: the page loads nothing from elsewhere."""
    fonts = [gr.themes.Font(name) for name in ("system-ui", "-apple-system", "Segoe UI", "sans-serif")]
    return gr.themes.Base(primary_hue="teal", neutral_hue="slate", font=fonts, font_mono=[gr.themes.Font("monospace")])
