"""Where the operations of a server stand, from the address that somebody has copied from a page or a console."""

import re
from urllib.parse import parse_qsl, urlsplit

from pydantic import SecretStr

# What people copy with it: the address of one operation, also of the server's own (Ollama, llama.cpp). /models is one only below
# a version: Azure AI has all below its own.
_OPERATION = re.compile(
    r"/(?:chat/completions|completions?|responses|audio/speech|audio/transcriptions|api/(?:chat|generate|tags))/*$"
    r"|(?<=/v1)/models/*$"
)
_VERSION = re.compile(r"/v\d[^/]*(?:/|$)")
USUAL = "/v1"
_OWN = {"audio/transcriptions": "/inference"}  # what whisper.cpp calls it


class Address:
    """`base` is what `/models` stands under, and `query` what every request has besides."""

    def __init__(self, url: str) -> None:
        place = urlsplit(url)
        path = _OPERATION.sub("", place.path).rstrip("/")
        self.base = place._replace(path=path, query="", fragment="").geturl()
        self.query = dict(parse_qsl(place.query))
        self.host = place.netloc.rpartition("@")[2]  # without a password
        self.name = place.hostname or ""
        self._sure = _VERSION.search(path) is not None
        self._known: dict[str, str] = {}

    def elsewhere(self) -> str:
        """Where the operations may stand if not under `base`: most servers have them below a version, which many people leave out.
        "" where there is no such place."""
        return "" if self._sure else self.base + USUAL

    def places(self, path: str) -> list[str]:
        """Where the operation `path` may stand, best first."""
        if path in self._known:
            return [self._known[path]]
        found = [f"{self.base}/{path}", *([f"{self.elsewhere()}/{path}"] if self.elsewhere() else [])]
        own = _OWN.get(path, "")
        return [*found, self.base.removesuffix(own) + own] if own else found

    def found(self, path: str, place: str) -> None:
        """The operation `path` stands at `place`."""
        self._known[path] = place
        if place.endswith(path):
            self.settle(place.removesuffix(f"/{path}"))

    def settle(self, base: str) -> None:
        """The operations stand under `base`."""
        self.base, self._sure = base, True

    def heads(self, key: SecretStr) -> dict[str, str]:
        """The header that holds `key`. Azure, whose addresses have the version in the query, has one of its own."""
        secret = key.get_secret_value()
        if not secret:
            return {}
        return {"api-key": secret} if "api-version" in self.query else {"Authorization": f"Bearer {secret}"}
