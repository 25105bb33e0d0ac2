"""Whether Serve is about to stop this replica. It tells a replica's own code only when every request has ended, which is too late
for a conversation; the wrapper around that code knows from the beginning."""

import asyncio

LOOK_EVERY_S = 0.2


def wrapper() -> object:
    """Serve's own object around the code of this replica. Raises RuntimeError where there is none: outside a replica, or in a
    version of Ray that keeps it elsewhere (2.55: `ServeReplica._replica_impl`)."""
    from ray._private.worker import global_worker

    for actor in global_worker.actors.values():
        found = getattr(actor, "_replica_impl", None)
        if isinstance(getattr(found, "_shutting_down", None), bool):
            return found
    raise RuntimeError("this version of Ray does not tell its replicas that they are being stopped")


async def stopped() -> None:
    """Returns when Serve has begun to stop this replica and sends it nobody new. Raises RuntimeError as `wrapper` does."""
    replica = wrapper()
    while True:
        if getattr(replica, "_shutting_down"):  # noqa: B009 (not ours to see)
            return
        await asyncio.sleep(LOOK_EVERY_S)
