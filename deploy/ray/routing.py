"""Which replica a request goes to. Serve's own rule looks at two, those on the proxy's node first: with conversations, of which a
replica holds a few and each for minutes, one of three replicas would be full while another is idle. And the emptiest may be one
whose models are behind all the same: it would be asked, and refuse, again and again."""

import random
from collections.abc import Sequence
from typing import Any

from ray.serve.request_router import FIFOMixin, RequestRouter, RunningReplica

LOOK_AT = 8  # replicas, by chance where there are more: the emptiest of so many is nearly that of all (Mitzenmacher 1996)


class Emptiest(FIFOMixin, RequestRouter):  # type: ignore[misc]
    """The replica with the fewest requests under way, of LOOK_AT: of those that take new conversations, where there are such."""

    async def choose_replicas(self, candidate_replicas: Sequence[RunningReplica], pending_request: Any = None) -> Any:
        """Those that are looked at for a request."""
        takes = [replica for replica in candidate_replicas if replica.routing_stats.get("open", True)] or list(
            candidate_replicas
        )
        return [random.sample(takes, min(LOOK_AT, len(takes)))]
