"""The types of settings: names, addresses, folders and keys, each with its own message for a wrong value."""

import re
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, cast
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, ValidationInfo
from pydantic_settings import CliSuppress

import languages
from configuration.signing_secret import strong_secret
from services.vendors import Capability, registered

LONGEST_NAME = 32  # characters of a vendor's name; the keys of services are longer
_WRITTEN = {"gguf": "a .gguf file", "openai": "openai, the URL of a service that speaks like it"}


_IN_PASSWORDS = "in a password, write / as %2F, # as %23, ? as %3F and @ as %40"


def vendor_and_place(place: str) -> tuple[str, str]:
    """The vendor that a setting names, and where it says the vendor is: "acme", "acme=https://eu.acme.example", a URL (of a
    service that speaks like OpenAI) or a .gguf file."""
    if place.startswith(("http://", "https://")):
        return "openai", place
    if place.endswith(".gguf"):
        return "gguf", place
    name, _, where = place.partition("=")
    return name, where


def _vendor(value: str, info: ValidationInfo) -> str:
    """Which vendor a capability is of. Raises ValueError for one that is not registered, and for a URL that is none; neither tells
    a password."""
    name, where = vendor_and_place(value)
    if where.startswith(("http://", "https://")) and not _is_url(where):
        raise ValueError(f"{_shown(where)} is no URL such as http://127.0.0.1:8000/v1; {_IN_PASSWORDS}")
    if "@" in name or len(name) > LONGEST_NAME:  # an address without its scheme, or a key where the name should be
        raise ValueError("this is the name of no vendor, and a URL begins with http:// or https://")
    registered(cast(Capability, info.field_name), name, _WRITTEN)
    return value.rstrip("/")


def _shown(value: str) -> str:
    """An address as an error may tell it."""
    return "this" if "@" in value else repr(value)


def _is_url(value: str) -> bool:
    try:
        place = urlsplit(value)
        return bool(place.hostname) and place.port != 0
    except ValueError:  # a port that is none
        return False


def _capitals(value: object) -> object:
    return value.strip().upper() if isinstance(value, str) else value


def _zone(value: str) -> str:
    try:
        ZoneInfo(value or "UTC")
    except (ValueError, OSError, ZoneInfoNotFoundError):
        raise ValueError(f"{value!r} is no time zone such as Europe/Berlin") from None
    return value


def _origins(value: str) -> str:
    """Origins of pages, separated by commas. Raises ValueError for an item that is no origin: a path, or a word of a header."""
    for origin in (given := [item.removesuffix("/") for item in listed(value)]):
        if not re.fullmatch(r"\*|null|[a-z][a-z0-9+.-]{0,30}://[^\s/;,'\"\\]+", origin):
            raise ValueError(f"{_shown(origin)} is no origin such as https://example.org")
    return ",".join(given)


def _hosts(value: str) -> str:
    """Names of this server, separated by commas. Raises ValueError for an item that is no name."""
    for name in (given := [re.sub(r":\d+$", "", item.lower()) for item in listed(value)]):
        if not re.fullmatch(r"\*|(\*\.)?[\w.-]+|\[?[0-9a-f:.]+\]?", name):
            raise ValueError(f"{_shown(name)} is no name of a server such as parley.example.org")
    return ",".join(given)


def _node(value: str) -> str:
    """The address of this very server, which is told to every client. Raises ValueError for text that is no such address; where
    it holds a password, the error does not quote it."""
    host = r"(?:\[[0-9a-fA-F:.]+\]|[^\s/?#;,'\"\\@:\[\]]+)"
    place = re.fullmatch(rf"https?://{host}(?::(\d{{1,5}}))?(/[^\s?#;,'\"\\]*)?", value)
    if value and (place is None or not 0 < int(place[1] or 80) < 65536):
        raise ValueError(f"{_shown(value)} is no address such as https://node-1.example.org")
    return value.rstrip("/")


def _ip(value: str) -> str:
    if not value:
        return ""
    try:
        return str(ip_address(value))
    except ValueError:
        raise ValueError(f"{value!r} is no address such as 203.0.113.7") from None


def _relay(scheme: str, value: str) -> str:
    """Where browsers find a STUN or TURN server (RFC 7064, 7065: without the // of other addresses, which is taken away); they take
    no other kind. Raises ValueError, which does not tell it: it may hold a password."""
    # An IPv6 address in brackets is for browsers alone: aiortc takes none, and no call could be made.
    host = r"[^\s/?#,;@:\[\]]+"
    found = re.fullmatch(
        rf"({scheme}s?:)(?://)?({host}(?::(?P<port>\d{{1,5}}))?(?:\?transport=(?:udp|tcp))?)", value, re.IGNORECASE
    )
    if value and (found is None or not 0 < int(found["port"] or 1) < 65536):
        raise ValueError(f"begins with {scheme}: or {scheme}s:, and holds no name or password: {scheme}:relay.example.org:3478")
    return found[1].lower() + found[2] if found else ""


def _header(value: str) -> str:
    name = value.removesuffix(":").rstrip()
    if not re.fullmatch(r"[\w!#$%&'*+.^`|~-]*", name, re.ASCII):
        raise ValueError(f"{value!r} is no name of a header such as X-Forwarded-For")
    return name


def host_of(value: str) -> str:
    """Where a server is to listen; "http://127.0.0.1/" has one meaning. Raises ValueError for what is no address and no name of a
    machine, or has a port beside it."""
    place = re.sub(r"\Ahttp://", "", value, flags=re.IGNORECASE).removesuffix("/")
    bare = place[1:-1] if place.startswith("[") and place.endswith("]") else place
    try:
        return str(ip_address(bare))
    except ValueError:
        if re.fullmatch(r"[\w.-]{1,255}", bare, re.ASCII) and any(map(str.isalpha, bare)) and bare[0] not in ".-":
            return bare
    host, _, port = place.rpartition(":")
    if "@" not in value and re.fullmatch("[0-9]{1,5}", port) and re.fullmatch(r"[\w.-]{1,255}|\[[0-9a-fA-F:.]{2,39}\]", host):
        raise ValueError(f"{_shown(value)} has a port, which is a setting of its own: host {host} and port {port}")
    raise ValueError(f"{_shown(value)} is no address to listen on such as 127.0.0.1, or 0.0.0.0 for all")


def port_of(value: object) -> object:
    """A TCP port; ":8080" and "8080/tcp" have one meaning. Raises ValueError for a text that is none."""
    if not isinstance(value, str):
        return value
    if found := re.fullmatch(r":?([0-9]{1,5})(?:/tcp)?", value):
        return found[1]
    host, _, port = value.removeprefix("http://").removesuffix("/").rpartition(":")
    if "@" not in value and host and not host.isdecimal() and "/" not in host and re.fullmatch("[0-9]{1,5}", port):
        raise ValueError(f"{value!r} has an address, which is a setting of its own: host {host} and port {port}")
    raise ValueError(f"{_shown(value)} is no port such as 7860")


def complaint(error: ValidationError) -> str:
    """What is wrong with some settings, by their names."""
    faults = (
        f"{'.'.join(map(str, fault['loc']))}: {fault['msg'].removeprefix('Value error, ')}".removeprefix(": ")
        for fault in error.errors()
    )
    return "; ".join(faults)


def listed(text: str) -> list[str]:
    """The items of a list that is separated by commas."""
    return [item.strip() for item in text.split(",") if item.strip()]


def travelling_key(key: SecretStr, name: str = "") -> SecretStr:
    """A key as it travels in an HTTP header. Raises ValueError, which does not tell it, but its `name`."""
    if not all("!" <= character <= "~" for character in key.get_secret_value()):
        raise ValueError(f"{name}a key holds no spaces, no line ends and no letters beyond ASCII")
    return key


def _folder(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:
        raise ValueError(f"{path}: this user has no home folder") from None


Folder = Annotated[Path, AfterValidator(_folder)]
Key = Annotated[SecretStr, AfterValidator(lambda key: travelling_key(key))]
Vendor = Annotated[str, AfterValidator(_vendor)]
Seconds = Annotated[float, Field(gt=0)]
Gone = CliSuppress[float | None]  # a setting that has no effect any more; whoever has it is told so, for one version
Header = Annotated[str, AfterValidator(_header)]
Host = Annotated[str, AfterValidator(host_of)]
Hosts = Annotated[str, AfterValidator(_hosts)]
Ip = Annotated[str, AfterValidator(_ip)]
Language = Annotated[str, AfterValidator(languages.checked)]
Languages = Annotated[str, AfterValidator(lambda value: ",".join(map(languages.checked, listed(value))))]
NodeUrl = Annotated[str, AfterValidator(_node)]
Origins = Annotated[str, AfterValidator(_origins)]
Port = Annotated[int, BeforeValidator(port_of), Field(ge=0, le=65535)]
SigningSecret = Annotated[SecretStr, AfterValidator(strong_secret)]
StunUrl = Annotated[str, AfterValidator(partial(_relay, "stun"))]
TurnUrl = Annotated[str, AfterValidator(partial(_relay, "turn"))]
Zone = Annotated[str, AfterValidator(_zone)]
LogLevel = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(_capitals)]
