"""Measurements for operators: figures for `/metrics`, and OpenTelemetry traces where an exporter is set. Nothing waits for
them."""

import asyncio
import logging
import os
import re
from collections.abc import Mapping

from prometheus_client import Counter, Histogram

from app.core.latency import Spans
from configuration.redaction import hide

log = logging.getLogger(__name__)

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
LAST_EXPORT_S = 2.0  # after which the end of the app waits no longer for a collector that is away
HEADERS = ("OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS")  # which hold the key of the collector
_SECONDS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0)

LATENCY = Histogram("parley_latency_seconds", "From the end of speech, or an onset over the agent", ["span"], buckets=_SECONDS)
PREPARED = Counter("parley_speculation_prepared", "Replies prepared before the turn had ended")
DROPPED = Counter("parley_speculation_dropped", "Prepared replies that nobody heard: the user went on")
WASTED = Counter("parley_speculation_wasted_seconds", "Time that services spent on what was then dropped", ["service"])


def wasted(spans: Spans) -> None:
    """Counts the work for these spans as thrown away."""
    for service, seconds in spans.work.items():
        WASTED.labels(service).inc(seconds)


def observe(spans: Spans) -> None:
    """Counts the times of a turn or an interruption in the metrics."""
    for name, ms in spans.marks.items():
        LATENCY.labels(name).observe(max(0.0, ms) / 1000)


def traces() -> "Traces | None":
    """The way to the collector that OpenTelemetry's own variables name, or None; without one, its packages are not even loaded.
    Variables with an impossible value bring a warning and None."""
    for name in HEADERS:  # the SDK logs those that it cannot read
        for header in os.environ.get(name, "").split(","):
            words = re.split(r"[=:]", header, maxsplit=1)[-1].split()
            hide(" ".join(words), *words[-1:])
    try:
        return Traces() if any(map(os.environ.get, ENDPOINTS)) else None
    except (OSError, ValueError) as error:
        log.warning("no traces are sent: %s", error)
        return None


class Traces:
    """Sends traces to the collector (OTLP over HTTP) on a thread of the SDK; when its queue is full, spans are dropped."""

    def __init__(self) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        resource = Resource.create({"service.name": os.environ.get("OTEL_SERVICE_NAME", "parley")})
        self._exporter = OTLPSpanExporter()
        self._sender = BatchSpanProcessor(self._exporter)
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(self._sender)
        self._tracer = self._provider.get_tracer("parley")

    def export(self, name: str, spans: Spans, clock_to_epoch_ms: float, attributes: Mapping[str, str | int]) -> None:
        """Sends one trace: a span from `spans.zero` to the last mark, and in it one span for each mark, from the mark before it
        (in time) to its own. `clock_to_epoch_ms` is added to clock times to get ms since 1970 (UTC). Returns at once."""
        from opentelemetry.trace import set_span_in_context

        def ns(ms: float) -> int:
            return int((spans.zero + ms + clock_to_epoch_ms) * 1e6)

        whole = self._tracer.start_span(name, start_time=ns(0), attributes=dict(attributes))
        inside, begin = set_span_in_context(whole), 0.0
        for mark, at in sorted(spans.marks.items(), key=lambda item: item[1]):
            end = max(begin, at)
            self._tracer.start_span(mark, inside, start_time=ns(begin)).end(ns(end))
            begin = end
        whole.end(ns(begin))

    async def close(self) -> None:
        """Sends the traces that wait. A collector that is away is not tried again after LAST_EXPORT_S."""
        giving_up = asyncio.get_running_loop().call_later(LAST_EXPORT_S, self._exporter.shutdown)
        await asyncio.to_thread(self._sender.shutdown)
        giving_up.cancel()
