"""Which services of vendors work: for the log, the metrics, the page and `/readyz`."""

import logging
from collections.abc import Callable

from prometheus_client import Counter, Gauge

log = logging.getLogger(__name__)

FAILURES = Counter(
    "parley_service_failures", "Calls of an HTTP service that failed, so that the embedded one took over", ["service"]
)
DEGRADED = Gauge("parley_service_degraded", "1 while the embedded service stands in for an HTTP service", ["service"])


class Health:
    """`degraded` has the services whose last call failed, and why. `listener` is told of every failure, and of the first success
    after one (without a reason)."""

    def __init__(self) -> None:
        self.degraded: dict[str, str] = {}
        self.listener: Callable[[str, str], None] = lambda service, reason: None

    def failed(self, service: str, reason: str) -> None:
        """A service does not work, and why."""
        level = logging.DEBUG if self.degraded.get(service) == reason else logging.WARNING
        log.log(level, "%s: %s; the embedded service takes over", service, reason)
        self.degraded[service] = reason
        FAILURES.labels(service).inc()
        DEGRADED.labels(service).set(1)
        self.listener(service, reason)

    def worked(self, service: str) -> None:
        """A service works."""
        if self.degraded.pop(service, None) is not None:
            log.warning("%s works again", service)
            DEGRADED.labels(service).set(0)
            self.listener(service, "")
