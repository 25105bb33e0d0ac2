"""A simulation of many nodes: callers come, talk and go, nodes fail and are replaced, and the number of nodes follows the load. How
many nodes there are, who is turned away, who is moved, and which shared part is full first, at 10^3, 10^5 and 10^7 conversations.

Discrete events by SimPy. What is measured says where; what is assumed says so. A large fleet is made of cells that share nothing,
each with its own Redis and its own cluster: one cell is simulated, and what cells have in common is counted. About a minute."""

import math
import random
from argparse import Namespace
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import simpy

from tests.bench.report import judge, percentile

SIZES = (1_000, 100_000, 10_000_000)
CELL = 5_000  # conversations
HOURS = 2.0  # simulated, after half an hour that fills the fleet
FILL_S = 1800.0
SEED = 25


@dataclass(frozen=True)
class Parameters:
    """Times in seconds."""

    capacity: int = 8  # conversations of a node of two cores: the setting max_sessions (`tests.bench scale`)
    target: float = 5.0  # of these under way, for the autoscaler: deploy/ray/serve.yaml
    look_at: int = 8  # nodes that a new conversation is placed by: deploy/ray/routing.py
    start_s: float = 18.0  # a replica until it is ready, Ray's share included (two replicas on two cores, an idle machine)
    machine_s: float = 90.0  # assumed: a machine that is rented until Ray or Kubernetes has it
    up_delay_s: float = 5.0  # deploy/ray/serve.yaml
    down_delay_s: float = 120.0
    resume_s: float = 0.2  # from the death of a node until its callers go on (`tests.bench cluster --kind plain`, half of them)
    reply_s: float = 8.0  # assumed: a draining node waits for so long at most, mean of what is left of a reply
    length_s: float = 240.0  # assumed: mean length of a conversation, log-normal with sigma 1
    lifetime_s: float = 7 * 86_400.0  # assumed: a machine fails once a week
    deploy_every_s: float = 2 * 3600.0  # assumed: twelve deploys a day
    surge: float = 0.1  # part of the nodes that a deploy replaces at a time
    day: float = 0.3  # assumed: the load of a day moves by so much around its mean


@dataclass
class Cell:
    """One cell: its nodes by the number of conversations that each has."""

    env: simpy.Environment
    conversations: int
    rng: random.Random
    p: Parameters = field(default_factory=Parameters)
    nodes: dict[int, int] = field(default_factory=dict)
    going: dict[int, simpy.Event] = field(default_factory=dict)  # of each node: it dies, or is told to go
    leaving: set[int] = field(default_factory=set)
    ordered: int = 0  # nodes that are being started
    born: int = 0
    counts: dict[str, float] = field(default_factory=dict)
    waits: list[float] = field(default_factory=list)

    def add(self, what: str, amount: float = 1.0) -> None:
        self.counts[what] = self.counts.get(what, 0.0) + amount

    def rate(self) -> float:
        """Conversations that come in a second, by the time of the day."""
        swing = 1 + self.p.day * math.sin(2 * math.pi * self.env.now / 86_400)
        return self.conversations / self.p.length_s * swing

    def place(self) -> int | None:
        """A node with room, as `deploy/ray/routing.py` finds it."""
        open_ = self.rng.sample(list(self.nodes), min(self.p.look_at, len(self.nodes)))
        best = min((node for node in open_ if node not in self.leaving), key=self.nodes.__getitem__, default=None)
        return best if best is not None and self.nodes[best] < self.p.capacity else None

    def arrivals(self) -> Generator[simpy.Event, Any, None]:
        while True:
            yield self.env.timeout(self.rng.expovariate(self.rate()))
            self.env.process(self.caller())

    def caller(self) -> Generator[simpy.Event, Any, None]:
        sigma = 1.0
        left = self.rng.lognormvariate(math.log(self.p.length_s) - sigma**2 / 2, sigma)
        came = self.env.now
        while (node := self.place()) is None:
            self.add("refusals")
            yield self.env.timeout(1.0)
            if self.env.now - came > 30:
                self.add("turned_away")
                return
        self.waits.append(self.env.now - came)
        self.add("conversations")
        while left > 0:
            self.nodes[node] += 1
            until = self.env.now + left
            yield self.env.timeout(left) | self.going[node]
            left = until - self.env.now
            moved = left > 1e-9
            if moved and node in self.nodes:
                yield self.env.timeout(self.rng.uniform(0, 2 * self.p.reply_s))  # to the end of the reply
                left = until - self.env.now
                self.add("moved_after_their_reply")
            elif moved:
                self.add("cut_by_a_failure")
                yield self.env.timeout(self.p.resume_s)
            if node in self.nodes:
                self.nodes[node] -= 1
            while left > 0 and (new := self.place()) is None:
                yield self.env.timeout(0.5)
                self.add("waited_to_go_on_s", 0.5)
            if left > 0:
                assert new is not None
                node = new

    def start(self) -> Generator[simpy.Event, Any, None]:
        self.ordered += 1
        yield self.env.timeout(self.p.machine_s + self.p.start_s)
        self.ordered -= 1
        self.bear()

    def bear(self) -> None:
        self.born += 1
        self.nodes[self.born] = 0
        self.going[self.born] = self.env.event()
        self.env.process(self.failure(self.born))

    def failure(self, node: int) -> Generator[simpy.Event, Any, None]:
        yield self.env.timeout(self.rng.expovariate(1 / self.p.lifetime_s))
        if self.nodes.pop(node, None) is not None:
            self.add("failures")
            self.tell(node)

    def tell(self, node: int) -> None:
        if not self.going[node].triggered:
            self.going[node].succeed()

    def leave(self, node: int) -> Generator[simpy.Event, Any, None]:
        """A node is told to go: nobody new, and those it has go on elsewhere when their reply is over."""
        self.leaving.add(node)
        self.tell(node)
        yield self.env.timeout(2 * self.p.reply_s + 1)
        self.nodes.pop(node, None)
        self.leaving.discard(node)

    def autoscaler(self) -> Generator[simpy.Event, Any, None]:
        low_since = None
        while True:
            yield self.env.timeout(self.p.up_delay_s)
            live = len(self.nodes) - len(self.leaving)
            wanted = math.ceil(sum(self.nodes.values()) / self.p.target)
            if wanted > live + self.ordered:
                for _ in range(wanted - live - self.ordered):
                    self.env.process(self.start())
            low_since = (low_since if low_since is not None else self.env.now) if wanted < live else None
            if low_since is not None and self.env.now - low_since >= self.p.down_delay_s:
                idle = sorted(set(self.nodes) - self.leaving, key=self.nodes.__getitem__)
                for node in idle[: live - wanted]:
                    self.env.process(self.leave(node))
                low_since = None
            self.add("node_hours", len(self.nodes) * self.p.up_delay_s / 3600)
            self.add("conversation_hours", sum(self.nodes.values()) * self.p.up_delay_s / 3600)

    def deploys(self) -> Generator[simpy.Event, Any, None]:
        while True:
            yield self.env.timeout(self.p.deploy_every_s / 2)
            old = list(self.nodes)
            step = max(1, int(self.p.surge * len(old)))
            for at in range(0, len(old), step):
                for _ in old[at : at + step]:
                    self.env.process(self.start())
                yield self.env.timeout(self.p.machine_s + self.p.start_s + 1)
                for node in old[at : at + step]:
                    if node in self.nodes:
                        self.env.process(self.leave(node))
            yield self.env.timeout(self.p.deploy_every_s / 2)


def simulate(conversations: int, hours: float = HOURS, seed: int = SEED) -> dict[str, float]:
    """One cell of so many conversations, over so many hours."""
    env = simpy.Environment()
    cell = Cell(env, conversations, random.Random(seed))
    for _ in range(math.ceil(conversations / cell.p.target)):
        cell.bear()
    for process in (cell.arrivals(), cell.autoscaler(), cell.deploys()):
        env.process(process)
    env.run(FILL_S)
    cell.counts.clear()
    cell.waits.clear()
    env.run(FILL_S + 3600 * hours)
    found = cell.counts
    begun = found.get("conversations", 0.0) + found.get("turned_away", 0.0)
    return {
        "nodes": found["node_hours"] / hours,
        "of_their_places_taken": found["conversation_hours"] / found["node_hours"] / cell.p.capacity,
        "turned_away": found.get("turned_away", 0.0) / begun,
        "wait_p99_s": percentile(cell.waits, 99),
        "moved_an_hour": found.get("moved_after_their_reply", 0.0) / hours,
        "failures_an_hour": found.get("failures", 0.0) / hours,
        "cut_an_hour": found.get("cut_by_a_failure", 0.0) / hours,
    }


@dataclass(frozen=True)
class Part:
    """Something that all conversations share, or all of a cell: how much of it one conversation takes, and how much there is."""

    name: str
    one: float  # of one conversation
    holds: float
    unit: str


# Of one conversation: measured by `tests.bench cost` (67 s, five spoken questions, answers heard whole). What one of each part
# holds is assumed, but for Redis' cores it is what is commonly rented or set.
LOG = 3_556.0  # bytes of Redis' memory a second
PARTS = (
    Part("log of 30 days in one Redis", LOG * 2_592_000, 64e9, "bytes"),
    Part("log of an hour in one Redis", LOG * 3_600, 64e9, "bytes"),
    Part("commands of one Redis", 52.6, 100_000, "a second"),
    Part("replicas of one Ray cluster", 0.2, 1_000, "replicas"),
    Part("connections of one nginx", 2.0, 20_000, "sockets"),
    Part("sound on one 10 Gbit/s line", 0.44e-3, 10.0, "Gbit/s"),
)


def first_full(conversations: int) -> list[tuple[str, float]]:
    """The parts by how full one of each would be, the fullest first."""
    return sorted(((part.name, part.one * conversations / part.holds) for part in PARTS), key=lambda found: -found[1])


def run(args: Namespace) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    cells = {size: simulate(min(size, CELL)) for size in {min(size, CELL): size for size in SIZES}.values()}
    small, cell = cells[min(cells)], cells[max(cells)]
    for size in SIZES:
        found, count = (small, 1) if size <= CELL else (cell, size / CELL)
        name = f"at_1e{round(math.log10(size))}"
        added = {"nodes", "moved_an_hour", "failures_an_hour", "cut_an_hour"}
        figures |= {f"{name}_{key}": value * count if key in added else value for key, value in found.items()}
        for part, share in first_full(size):
            print(f"  {size:>12,} conversations: {part:<32} {100 * share:>12,.1f} % of one")
    if args.draw:
        draw(args.draw)
    return judge("a fleet, simulated", figures, {"at_1e3_turned_away": ("<=", 0.001), "at_1e7_turned_away": ("<=", 0.001)})


def draw(path: Path) -> None:
    """How full one of each shared part is, by the number of conversations."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 4.5))
    sizes = [10.0**power for power in range(2, 8)]
    for part in PARTS:
        line = "--" if part.name.startswith("log") else "-"
        axes.loglog(sizes, [part.one * size / part.holds for size in sizes], line, label=part.name)
    axes.axhline(1, color="black", linewidth=1)
    axes.text(sizes[0], 1.15, "one is full: from here on there are cells", fontsize=8)
    axes.set(xlabel="conversations at once", ylabel="of one", ylim=(1e-4, 1e4))
    axes.legend(fontsize=8, loc="lower right")
    axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
