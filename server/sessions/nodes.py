"""The other servers on the same Redis: whether they run the same program with the same settings, and to which of them a client
can be sent."""

import asyncio
import hashlib
import logging
import random
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from pydantic import BaseModel, ValidationError

from app.settings import Settings
from app.tools.registry import TOOLS
from documents.readers import LARGEST, found_in
from server.sessions.tokens import Tickets
from server.store.records import StoreError
from server.store.store import Store
from services.retrieval.folder import DEFAULT_FOLDER

log = logging.getLogger(__name__)

MEET_S = 5.0  # how often a server says that it is there, and looks at some others
FIND_S = 0.5  # in which another one is found, or none
ROOT = Path(__file__).parents[2]
SOURCES = ("app", "documents", "languages", "server", "services", "vendors")
ALIKE = {
    "secret": "tokens of one are refused by the other: give both the same PARLEY_SECRET",
    "version": "both run different programs: this passes when a rolling update is through",
    "knowledge": "both answer from different documents: give both the same folder",
}

# What a conversation that goes on elsewhere would be surprised by, where no setting of its own says it. Addresses of services may
# well differ.
SAME = ("language", "other_languages", "tts_voice", "time_zone", "log_transcripts", "session_ttl_s", "log_ttl_s")


class Node(BaseModel):
    """What a server tells the others of itself. `url` is its address, "" where it has none of its own; `seal` proves that
    somebody with the secret wrote this, for clients are sent there with their tokens."""

    url: str
    seal: str
    open: bool  # takes conversations
    secret: str
    version: str
    knowledge: str
    settings: dict[str, str] = {}  # SAME, and which tools there are


class Nodes:
    """Exchanges what the processes on one Redis know of each other."""

    def __init__(self, store: Store, settings: Settings, tickets: Tickets, is_open: Callable[[], bool]) -> None:
        self._store = store
        self._url = settings.node_url
        self._folder = settings.knowledge or DEFAULT_FOLDER
        self._settings = {name: str(getattr(settings, name)) for name in SAME}
        self._tickets = tickets
        self._is_open = is_open
        self._told: set[tuple[str, str]] = set()  # differences: what in, and what is there

    async def run(self) -> None:
        """Tells the others of this server, and reads what they tell, until it is cancelled."""
        while True:
            try:
                await self._meet()
            except StoreError as error:
                log.debug("the other servers are not seen: %s", error)
            await asyncio.sleep(MEET_S * random.uniform(0.8, 1.2))

    async def elsewhere(self) -> str:
        """The base URL of a server that takes conversations; "" where none is known."""
        try:
            async with asyncio.timeout(FIND_S):
                nodes = await self._meet()
        except (StoreError, TimeoutError):
            return ""
        urls = [node.url for node in nodes if node.open and node.url and node.seal == self._tickets.seal(node.url)]
        return random.choice(urls) if urls else ""

    async def _meet(self) -> list[Node]:
        own = await asyncio.to_thread(self._own)
        nodes = [_read(line) for line in await self._store.meet(own.model_dump_json())]
        for node in nodes:
            self._compare(own, node)
        return nodes

    def _own(self) -> Node:
        return Node(
            url=self._url,
            seal=self._tickets.seal(self._url),
            open=self._is_open(),
            secret=self._tickets.key,
            version=version(),
            knowledge=_digest(self._folder, _states(self._folder)),
            settings={**self._settings, "tools": ", ".join(sorted(TOOLS))},
        )

    def _compare(self, own: Node, other: Node) -> None:
        for name, meaning in ALIKE.items():
            if getattr(other, name) != getattr(own, name):
                self._tell(other, name, getattr(other, name), f"has another {name}; {meaning}")
        differ = ", ".join(name for name, value in other.settings.items() if value != own.settings.get(name, value))
        if differ:
            self._tell(other, "settings", differ, f"is set otherwise ({differ}): a conversation that goes on there changes")

    def _tell(self, other: Node, name: str, what: str, words: str) -> None:
        if (name, what) not in self._told:
            self._told.add((name, what))
            log.warning("another server on this Redis%s %s", f" ({other.url})" * bool(other.url), words)


def _read(line: str) -> Node:
    """What another server wrote. A server of a version that writes something else counts as one that says nothing."""
    try:
        return Node.model_validate_json(line)
    except ValidationError:
        return Node(url="", seal="", open=False, secret="unknown", version="unknown", knowledge="unknown")


@lru_cache
def version() -> str:
    """The version of the program: a digest of its source files."""
    files = sorted(path for folder in SOURCES for path in (ROOT / folder).rglob("*.*") if path.suffix in (".py", ".lua"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:12]


def _states(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """The files of `folder` that are read, each with its size and time."""
    found = []
    for path in found_in(folder, logging.DEBUG)[0]:
        with suppress(OSError):  # it has gone since
            state = path.stat()
            found.append((path.relative_to(folder).as_posix(), state.st_size, state.st_mtime_ns))
    return tuple(found)


@lru_cache(maxsize=1)
def _digest(folder: Path, states: tuple[tuple[str, int, int], ...]) -> str:
    """A digest of all that is read in `folder`; a file that cannot be read is skipped, as it is by the knowledge."""
    whole = hashlib.sha256()
    for name, size, _ in states:
        if size > LARGEST:
            continue
        with suppress(OSError), (folder / name).open("rb") as file:
            whole.update(name.encode("utf-8", "replace") + hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()[:12]
