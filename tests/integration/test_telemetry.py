"""What a collector and `/metrics` get of a conversation: the real SDK, a real HTTP collector, fake services."""

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client import REGISTRY

from app.core.telemetry import Traces, traces
from app.protocol.messages import Interrupt
from server.core.watchdog import BEAT_S, HELD_S, WORKING, Watchdog
from server.sessions.recorder import StoreRecorder
from tests.unit.fakes import Caller
from tests.unit.virtual_time import run

REPLY = {"pause_detected", "stt_final", "intent", "retrieval", "first_token", "first_clause"}
REPLY |= {"first_audio_ready", "first_audio_sent", "first_audio_heard"}


class Quiet:
    """A store that keeps nothing."""

    def save(self, record: Any) -> None: ...

    def log(self, session_id: str, entry: Any) -> None: ...

    def latency(self, entry: Any) -> None: ...


@pytest.fixture
def collected(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """The spans that reach a collector, which the standard variable names."""
    spans: list[Any] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            body = self.rfile.read(int(self.headers["content-length"]))
            for of_service in ExportTraceServiceRequest.FromString(body).resource_spans:
                [service] = [a.value.string_value for a in of_service.resource.attributes if a.key == "service.name"]
                assert service == "parley"
                spans.extend(span for scope in of_service.scope_spans for span in scope.spans)
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=server.serve_forever).start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    yield spans
    server.shutdown()
    server.server_close()


def converse(exporter: Traces | None) -> list[Any]:
    """A turn that is heard to its end, and one that is interrupted; gives the latency messages."""

    async def scene() -> list[Any]:
        async with Caller() as caller:
            caller.session.context.recorder = StoreRecorder(Quiet(), exporter)  # type: ignore[arg-type]
            await caller.say(1.0)
            await caller.until("SPEAKING")
            await caller.until("LISTENING")
            await caller.say(1.0)
            await caller.until("SPEAKING")
            await asyncio.sleep(0.5)
            caller.session.receive(Interrupt())
            await caller.until("LISTENING")
            return caller.of("latency")

    return run(scene())


def test_a_collector_gets_a_trace_for_each_turn_and_each_interruption(collected: list[Any]) -> None:
    exporter = traces()
    assert exporter is not None
    first, second = converse(exporter)
    asyncio.run(exporter.close())
    by_trace: dict[bytes, list[Any]] = {}
    for span in collected:
        by_trace.setdefault(span.trace_id, []).append(span)
    wholes = {span.span_id: span for span in collected if not span.parent_span_id}
    assert sorted(span.name for span in wholes.values()) == ["interruption", "turn", "turn"]
    assert len(by_trace) == 3
    for spans in by_trace.values():
        [whole] = [span for span in spans if span.span_id in wholes]
        inside = sorted((s for s in spans if s is not whole), key=lambda s: s.end_time_unix_nano)
        assert {span.parent_span_id for span in inside} == {whole.span_id}
        turn = next(a.value.int_value for a in whole.attributes if a.key == "turn")
        told = (first if turn == first.turn else second).spans
        ends = {span.name: (span.end_time_unix_nano - whole.start_time_unix_nano) / 1e6 for span in inside}
        assert set(ends) == (REPLY if whole.name == "turn" else {"confirmed", "flushed", "silent"})
        assert ends == pytest.approx({name: told[name] for name in ends}, abs=0.01)
        assert inside[-1].end_time_unix_nano == whole.end_time_unix_nano


def test_a_collector_that_is_away_costs_the_conversation_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    exporter = traces()
    assert len(converse(exporter)) == 2
    assert exporter is not None
    asyncio.run(exporter.close())


def test_without_an_exporter_its_packages_are_not_loaded() -> None:
    slow = ("opentelemetry.exporter", "opentelemetry.sdk.trace")  # the client of Redis loads the SDK's metrics
    program = f"import sys, server.bootstrap.application; sys.exit(any(name.startswith({slow}) for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_metrics_count_every_span_of_a_turn() -> None:
    def counted(span: str) -> float:
        return REGISTRY.get_sample_value("parley_latency_seconds_count", {"span": span}) or 0.0

    before = {span: counted(span) for span in (*REPLY, "silent")}
    converse(None)
    assert {span: counted(span) - value for span, value in before.items()} == dict.fromkeys(REPLY, 2.0) | {"silent": 1.0}


async def test_a_held_loop_is_counted_and_what_holds_it_is_named(caplog: pytest.LogCaptureFixture) -> None:
    def hold() -> None:
        until = time.thread_time() + 2 * HELD_S
        while time.thread_time() < until:
            pass

    watching, before = asyncio.create_task(Watchdog().watch()), WORKING._value.get()
    await asyncio.sleep(0)
    hold()
    await asyncio.sleep(3 * BEAT_S)
    watching.cancel()
    assert WORKING._value.get() == before + 1
    assert (REGISTRY.get_sample_value("parley_loop_held_seconds") or 0) >= HELD_S and "in hold" in caplog.text
