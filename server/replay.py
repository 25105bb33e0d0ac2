"""`python -m server.replay ID`: prints a conversation from its log, with times, and runs its logged events through the state
machine again. The exit status is 0 when every state comes out as it was logged, 1 when one does not, 2 when there is nothing to
replay."""

import argparse
import asyncio
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from app.conversation.state_machine import IllegalTransition, transition
from app.protocol.events import Happening
from app.protocol.messages import State
from app.settings import Settings
from server.store.store import Store, StoreError

_HAPPENING: TypeAdapter[Happening] = TypeAdapter(Annotated[Happening, Field(discriminator="type")])


@dataclass(slots=True)
class Rerun:
    """Runs the logged events of one session again, one by one. `faults` are the entries where the state came out differently."""

    state: State = "IDLE"
    seq: int = 0
    events: int = 0
    blind: bool = False  # entries are missing here: the next logged state is taken as it is
    faults: list[str] = field(default_factory=list)

    def check(self, entry: Mapping[str, Any]) -> None:
        """Runs one entry of the log."""
        seq, kind = entry["seq"], entry["kind"]
        if seq != self.seq + 1 and not (self.seq == 0 and kind == "dropped"):  # a long log has lost its beginning
            self.faults.append(f"#{seq}: follows #{self.seq}, entries are missing or doubled")
            self.blind = True
        self.seq = seq
        if kind == "dropped":
            self.blind = True
        elif kind in ("event", "illegal"):
            self._event(entry)

    def _event(self, entry: Mapping[str, Any]) -> None:
        self.events += 1
        where, logged = f"#{entry['seq']}", entry["state"]
        # A process that was killed logs no end; the next one starts from IDLE.
        restarted = entry["event"].get("type") == "session_started" and logged == "IDLE"
        if logged != self.state and not (self.blind or restarted):
            self.faults.append(f"{where}: logged in {logged}, but the run is in {self.state}")
        self.blind = False
        expected = entry.get("next", "no transition")
        try:
            event = _HAPPENING.validate_python(entry["event"])
            self.state, _ = transition(logged, event, entry.get("fact"))
            outcome: str = self.state
        except IllegalTransition:
            self.state = logged
            outcome = "no transition"
        except ValidationError as error:
            self.faults.append(f"{where}: the event can not be read: {error}")
            return
        if outcome != expected:
            self.faults.append(f"{where}: {event.type} in {logged} led to {expected}, now to {outcome}")


def printable(text: str) -> str:
    """`text` with every unprintable character written out: a terminal obeys escape codes, and anybody can say one."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


def describe(entry: Mapping[str, Any]) -> str:
    """One entry of the log as a line for a person."""
    return printable(_describe(entry))


def _describe(entry: Mapping[str, Any]) -> str:
    match entry["kind"]:
        case "event" if entry["state"] != entry["next"]:
            return f"{entry['state']} -> {entry['next']}  ({entry['event']['type']})"
        case "event" | "illegal" as kind:
            return f"{entry['event']['type']}{' (not allowed)' * (kind == 'illegal')}"
        case "transcript":
            return f"user{'' if entry.get('final') else ' (so far)'}: {entry.get('text')}"
        case "agent_response":
            return f"agent: {entry.get('text')}"
        case "agent_heard":
            return f"heard{' (estimated)' * bool(entry.get('estimated'))}: {entry.get('text')}"
        case "dropped":
            return f"{entry['count']} entries were dropped here"
        case kind:
            rest = {name: value for name, value in entry.items() if name not in ("seq", "at_ms", "kind")}
            return f"{kind} " + ", ".join(f"{name}={value}" for name, value in rest.items())


def replay(entries: Iterable[Mapping[str, Any]]) -> Rerun:
    """Prints a whole log and runs it again."""
    rerun = Rerun()
    began: float | None = None
    for entry in entries:
        began = entry["at_ms"] if began is None else began
        print(f"{(entry['at_ms'] - began) / 1000:10.3f} s  #{entry['seq']:<5} {describe(entry)}")
        rerun.check(entry)
    return rerun


async def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m server.replay", description=__doc__)
    parser.add_argument("session_id")
    parser.add_argument("--redis-url", help="instead of REDIS_URL")
    parser.add_argument("--data-dir", type=Path, help="folder of the embedded store, where there is no Redis URL")
    args = parser.parse_args(arguments)
    given = {"redis_url": args.redis_url, "data_dir": args.data_dir}
    async with Store(Settings(**{name: value for name, value in given.items() if value})) as store:
        try:
            entries = [entry async for entry in store.read_log(args.session_id)]
        except StoreError as error:
            print(error, file=sys.stderr)
            return 2
    if not entries:
        print(printable(f"no log of session {args.session_id}"), file=sys.stderr)
        return 2
    rerun = replay(entries)
    print(f"{rerun.events} events run again, {len(rerun.faults)} went otherwise")
    for fault in rerun.faults:
        print(printable(fault), file=sys.stderr)
    return 1 if rerun.faults else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
