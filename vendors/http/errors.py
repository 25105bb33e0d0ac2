"""What a server means that does not answer with success: too busy, the key is wrong, or it does not know a parameter."""

import json
import re
from collections.abc import Container
from typing import Any

import httpx
from pydantic import SecretStr

from services.base import ServiceError, ServiceTimeout, ServiceUnavailable
from vendors.http.body import excuse

LONGEST_WAIT_S = 1.0  # between two attempts; a server that wants more is not asked again for this call
READ = 4096  # bytes of an error's body that are looked at
# How a server names what it does not want: the first of these in its message that it was sent. What is not here is needed.
_NAMES = {
    "max_completion_tokens": r"max_completion_tokens",
    "max_tokens": r"max_tokens",
    "temperature": r"temperature",
    "tools": r"tools?|tool_choice|function[ -]call(?:ing|s)?|functions",
    "stream": r"stream(?:ing|ed)?",
    "system": r"system (?:role|message|prompt|instruction)s?|role '?\"?system|developer instruction",
    "prompt": r"prompt",
    "language": r"language",
    "response_format": r"response_format",
    "speed": r"speed",
}
_OBJECTION = re.compile(
    r"support|unrecogni[sz]ed|unknown|unexpected|not (?:be )?(?:allowed|permitted|enabled|available|implemented)|extra|invalid"
    r"|require|must|disabled|additional|forbidden|does ?n.t|cannot",
    re.IGNORECASE,
)


class Overloaded(ServiceUnavailable):
    """The server is overloaded; `after_s` is when it wants to be asked again, if it says so."""

    def __init__(self, service: str, message: str, after_s: float | None) -> None:
        super().__init__(service, message)
        self.after_s = after_s


class Rejected(ServiceError):
    """The server does not take the request as it is; `body` is the beginning of what it says about it."""

    def __init__(self, service: str, message: str, body: str) -> None:
        super().__init__(service, message)
        self.body = body

    @property
    def names_the_model(self) -> bool:
        """It may not have the model that it was asked for."""
        return bool(
            re.search(r"model.{0,80}(?:not |n't |unknown|invalid|no such)|(?:no such|unknown|invalid) model", self.body, re.I)
        )


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
        return ServiceUnavailable(service, f"{host} refuses the key ({status})")
    said = body.decode(errors="replace").replace(key.get_secret_value() or "\0", "***")
    message = f"{host} answers {status}: {excuse(said)}"
    if 300 <= status < 400:
        return ServiceError(
            service, f"{host} answers {status}, a redirection, which is not followed: set the address it leads to"
        )
    if status in (429, 503, 529):  # the last of Anthropic: overloaded
        wish = response.headers.get("retry-after", "")  # seconds, or a date, which is never soon enough
        after = float(wish) if wish.replace(".", "", 1).isdecimal() and wish.isascii() else None
        if not wish or (after is not None and after <= LONGEST_WAIT_S):
            return Overloaded(service, message, after)
        return ServiceUnavailable(service, message)
    return ServiceTimeout(service, message) if status in (408, 504) else Rejected(service, message, said)


def objection(error: Rejected, sent: Container[str]) -> str:
    """The name of what was sent and can be left out, if that is what the server objects to; "" otherwise. Of what it says the
    parameter that it names as such counts (OpenAI's `param`, FastAPI's `loc`), then the first that it mentions."""
    sendable = [name for name in _NAMES if name in sent or (name == "system" and "messages" in sent)]
    named = [name for name in _told(error.body) if name in sendable]
    if named:
        return named[0]
    if not _OBJECTION.search(error.body):
        return ""
    found = {name: re.search(rf"(?<![\w-])(?:{_NAMES[name]})(?![\w-])", error.body, re.IGNORECASE) for name in sendable}
    places = {name: match.start() for name, match in found.items() if match is not None}
    return min(places, key=lambda name: places[name]) if places else ""


def _told(body: str) -> list[str]:
    """What the server names as the parameter at fault."""
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return []
    names: list[Any] = []
    if isinstance(told, dict):
        error, detail = told.get("error"), told.get("detail")
        names += [error.get("param")] if isinstance(error, dict) else []
        for fault in detail if isinstance(detail, list) else ():
            place = fault.get("loc") if isinstance(fault, dict) else None
            names += place[1:2] if isinstance(place, list) else []
    return [name for name in names if isinstance(name, str)]
