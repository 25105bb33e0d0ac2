"""What a server means that does not answer with success: too busy, the key is wrong, or it does not know a parameter."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx
from pydantic import SecretStr

from services.base import ServiceError, ServiceTimeout, ServiceUnavailable
from vendors.http.body import excuse

LONGEST_WAIT_S = 1.0  # between two attempts; a server that wants more is not asked again for this call
READ = 4096  # bytes of an error's body that are looked at
NEAR = 120  # characters between the name of what is not wanted and the word that says so
# How a server names what it does not want: the first of these in its message that it was sent. What is not here is needed. "calls"
# are the calls of tools among the messages, and what came of them; "pcm" is the form of sound that is asked for first.
_NAMES = {
    "max_completion_tokens": r"max_completion_tokens",
    "max_tokens": r"max_tokens",
    "temperature": r"temperature",
    "calls": r"tool[_ ]call[_ ]?ids?|thought_?signature|reasoning_content|role '?\"?tool|tool (?:role|message|result)s?"
    r"|content.{0,40}null",
    "tools": r"tools?|tool_choice|function[ -]call(?:ing|s)?|functions",
    "stream": r"(?:non-)?stream(?:ing|ed)?",
    "system": r"system (?:role|message|prompt|instruction)s?|role:? ?'?\"?system|'system'|developer instruction"
    r"|(?:first message|conversation) must (?:have|start|be)[^.]{0,20}user",
    "prompt": r"prompt",
    "language": r"language",
    "response_format": r"response_format|response format",
    "speed": r"speed",
    "voice": r"voices?|speakers?",
}
# Names that nobody writes who means something else: where the request was wrong, they need no word beside them.
_PLAIN = {"max_completion_tokens", "max_tokens", "temperature", "response_format"}
_ALIASES = {"tool_choice": "tools", "functions": "tools", "function_call": "tools"}
_NEEDED = {"model", "input", "file"}  # what an objection names that is to nothing else
_OBJECTION = re.compile(
    r"support|deprecated|incompatible|unrecogni[sz]ed|(?:unknown|unexpected) (?:param|arg|field|name|key|prop)"
    r"|not (?:be )?(?:allowed|permitted|enabled|available|implemented|accepted)|requires? --|extra|additional|forbidden",
    re.IGNORECASE,
)
# Words that a server which has failed has, too: they count where the status says that it is the request that was wrong.
_COMPLAINT = re.compile(
    r"unknown|unexpected|invalid|requires?\b|required|missing|must|should|disabled|does ?n.t|does not|cannot|not capable|not found"
    r"|no such|only|one of|null",
    re.IGNORECASE,
)
_REFUSALS = {400, 404, 405, 406, 415, 422}
_FAILURES = {500, 501}  # of which some are refusals (llama.cpp: "tools param requires --jinja flag")
# The roles that a template takes: "Only user and assistant roles are supported!", "roles must alternate user/assistant/...".
_ROLE = r"(?:system|developer|user|assistant|model|tool|function)"
_ROLES = re.compile(rf"{_ROLE}['\"]?(?:(?:/|,? ?(?:and|or)|,) ?['\"]?{_ROLE}\b['\"]?){{1,8}}", re.IGNORECASE)
# What is too much of this request, and may be right in the next one.
_AMOUNT = re.compile(
    r"too (?:large|long|many|big)|exceed|greater than|context (?:length|window|size)|at most|credits", re.IGNORECASE
)
_BESIDE = {"type", "code", "status", "input", "ctx", "failed_generation", "request", "trace", "id", "object", "url", "loc"}


class Overloaded(ServiceUnavailable):
    """The server is overloaded; `after_s` is when it wants to be asked again, if it says so."""

    def __init__(self, service: str, message: str, after_s: float | None) -> None:
        super().__init__(service, message)
        self.after_s = after_s


class Rejected(ServiceError):
    """The server does not take the request as it is; `body` is the beginning of what it says about it."""

    def __init__(self, service: str, message: str, body: str, status: int) -> None:
        super().__init__(service, message)
        self.body = body
        self.status = status

    @property
    def names_the_model(self) -> bool:
        """It may not have the model that it was asked for."""
        return bool(
            re.search(r"model.{0,80}(?:not |n't |unknown|invalid|no such)|(?:no such|unknown|invalid) model", self.body, re.I)
        )

    @property
    def is_of_the_place(self) -> bool:
        """There may be nothing where it was asked."""
        return self.status in (404, 405, 501) and not self.names_the_model

    @property
    def is_of_the_amount(self) -> bool:
        """What is too much now may be right in the next request."""
        return _AMOUNT.search(self.body) is not None


async def error_from(service: str, host: str, key: SecretStr, response: httpx.Response) -> ServiceError:
    """What the status of `response` means; closes it. Its text holds no key."""
    status, body = response.status_code, b""
    try:
        async for piece in response.aiter_raw(READ):
            body += piece
            if len(body) >= READ:
                break
    except httpx.HTTPError:
        pass  # the status says enough
    finally:
        await response.aclose()
    if status in (401, 403):  # the body may quote parts of the key
        refuses = "refuses the key" if key.get_secret_value() else "wants a key" if status == 401 else "refuses to be asked"
        return ServiceUnavailable(service, f"{host} {refuses} ({status})")
    said = body.decode(errors="replace").replace(key.get_secret_value() or "\0", "***")
    message = f"{host} answers {status}: {excuse(said)}"
    if 300 <= status < 400:
        return ServiceError(service, f"{host} answers {status}, a redirection, which is not followed: set {_target(response)}")
    if status in (429, 503, 529):  # the last of Anthropic: overloaded
        wish = response.headers.get("retry-after", "")  # seconds, or a date, which is never soon enough
        sooner = response.headers.get("retry-after-ms", "")  # OpenAI, Azure
        after = _number(wish) if _number(sooner) is None else float(sooner) / 1000
        if not (wish or sooner) or (after is not None and after <= LONGEST_WAIT_S):
            return Overloaded(service, message, after)
        return ServiceUnavailable(service, message)
    return ServiceTimeout(service, message) if status in (408, 504) else Rejected(service, message, said, status)


def _number(text: str) -> float | None:
    return float(text) if text.replace(".", "", 1).isdecimal() and text.isascii() else None


def _target(response: httpx.Response) -> str:
    """Where a redirection leads to, without what may be secret in it."""
    try:
        place = urlsplit(response.headers.get("location", ""))
    except ValueError:
        place = urlsplit("")
    host = place.netloc.rpartition("@")[2]
    return f"its address, {excuse(f'{place.scheme}://{host}{place.path}')}" if host else "the address it leads to"


def objection(error: Rejected, sent: Mapping[str, Any]) -> str:
    """The name of what was sent and can be left out, if that is what the server objects to; "" otherwise. Of what it says the
    parameter that it names as such counts (OpenAI's `param`, FastAPI's `loc`), then the first that it mentions."""
    if error.status not in _REFUSALS | _FAILURES:
        return ""
    told = _parsed(error.body)
    sendable = [name for name in _NAMES if name in sent or name in _parts_of(sent.get("messages"))]
    named = [_ALIASES.get(name, name) for name in _named(told)]
    if found := next((name for name in named if name in sendable), ""):
        return _instead(found, sent)
    if _NEEDED.intersection(named):
        return ""
    messages = [error.body] if told is None else list(_said(told))
    for message in messages:
        if (roles := _ROLES.search(message)) and (unfit := _unfit(roles[0].lower(), sendable)):
            return unfit
    words = (_OBJECTION, _COMPLAINT) if error.status in _REFUSALS else (_OBJECTION,)
    for message in messages:
        if found := _mentioned(message, sendable, words, sent):
            return _instead(found, sent)
    return ""


def _mentioned(message: str, sendable: list[str], words: tuple[re.Pattern[str], ...], sent: Mapping[str, Any]) -> str:
    """The first of `sendable` in `message` that stands near one of the `words` of an objection."""
    objected = [match.span() for word in words for match in word.finditer(message)]
    places: dict[str, int] = {}
    for name in sendable:
        pattern = _NAMES[name]
        if name == "response_format":
            value = re.escape(str(sent[name]))
            pattern += rf"|format[^.]{{0,40}}\b{value}\b|\b{value}\b[^.]{{0,20}}format"
        for match in re.finditer(rf"(?<![\w-])(?:{pattern})(?![\w-])", message, re.IGNORECASE):
            plain = name in _PLAIN and _COMPLAINT in words
            if plain or any(start - NEAR < match.end() and match.start() < end + NEAR for start, end in objected):
                places.setdefault(name, match.start())
    return "calls" if "calls" in places else min(places, key=lambda name: places[name], default="")


def _instead(name: str, sent: Mapping[str, Any]) -> str:
    """Whoever does not send raw PCM may send WAV, before the form is left to the server."""
    return "pcm" if name == "response_format" and sent.get(name) == "pcm" else name


def _parts_of(messages: Any) -> set[str]:
    """What there is among the messages of a conversation that can be said in other words."""
    roles = {message["role"] for message in messages or ()}
    return {name for name, role in (("system", "system"), ("calls", "tool")) if role in roles}


def _unfit(roles: str, sendable: list[str]) -> str:
    """Which part of the messages has a role that is none of `roles`."""
    if "user" not in roles:
        return ""
    wrong = ("system" not in roles and "system", "tool" not in roles and "calls")
    return next((name for name in wrong if name and name in sendable), "")


def _parsed(body: str) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _said(told: Any, deep: int = 6) -> Iterator[str]:
    """The messages in the body of an error, without what it quotes of the request."""
    if isinstance(told, str):
        yield told
    elif deep:
        parts = [value for key, value in told.items() if key not in _BESIDE] if isinstance(told, dict) else told
        for part in parts if isinstance(parts, list) else ():
            yield from _said(part, deep - 1)


def _named(told: Any, deep: int = 4) -> Iterator[str]:
    """What the server names as the parameter at fault, without its index or what is in it."""
    if isinstance(told, list) and deep:
        for part in told:
            yield from _named(part, deep - 1)
    if not isinstance(told, dict) or not deep:
        return
    place, path = told.get("loc"), told.get("path")
    where = place[1:2] if isinstance(place, list) else path[:1] if isinstance(path, list) else []
    for name in (told.get("param"), *where):
        if isinstance(name, str):
            yield re.split(r"[.\[/]", name)[0]
    for key in ("error", "detail", "message", "errors", "issues"):
        yield from _named(told.get(key), deep - 1)
