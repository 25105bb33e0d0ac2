"""What a process finds around it, most of which belongs to other programs: variables of the environment, lines of a `.env`
file, folders of the user. What belongs to others is ignored, what belongs to Parley and is wrong is named, and nothing else
stops a start."""

import codecs
import errno
import io
import logging
import os
import re
import ssl
import stat
import tempfile
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path

import httpx
from dotenv import dotenv_values
from pydantic_settings import BaseSettings, DotEnvSettingsSource, EnvSettingsSource

from configuration.redaction import hide_passwords
from configuration.setting_types import host_of

log = logging.getLogger(__name__)

PREFIX = "PARLEY_"  # of our variables
PROXIES = {"all_proxy", "http_proxy", "https_proxy"}
# Numbers that Gradio reads while it is imported or a page is made; a service of Kubernetes named "gradio-server" makes the first
# of them an address.
NUMBERS = {"GRADIO_SERVER_PORT", "GRADIO_NUM_PORTS", "GRADIO_NODE_NUM_PORTS", "GRADIO_ANALYTICS_CACHE_FREQUENCY"}
NUMBERS_OR_NONE = {"GRADIO_DEFAULT_CONCURRENCY_LIMIT"}
OTHERS = {"port": "port", "gradio_server_port": "port", "gradio_server_name": "host"}  # variables that many have, of some kind
SHARED = {*OTHERS, "redis_url", "openai_api_key"}  # of others that we read too
# Kubernetes and Docker describe every service (here one whose name begins with "parley") to every container beside it:
# https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
_SERVICE = re.compile(r"parley_(\w+_)?(service_host|service_port(_\w+)?|port_\d+_(tcp|udp|sctp)(_(proto|port|addr))?)")
# and, of a container that is linked, its name and its own variables: https://docs.docker.com/engine/network/links/
_LINKED = re.compile(r"parley_(\w+_)?env_\w+")
_LINKED_NAME = re.compile(r"parley_(\w+_)?name")
_SERVICE_PORT = re.compile(r"parley_(\w+_)?port")
_SERVICE_URL = re.compile(r"(tcp|udp|sctp)://")


def ours(found: Mapping[str, str | None], fields: type[BaseSettings], where: str) -> dict[str, str | None]:
    """The entries of `found` (names in lower case) that belong to Parley. Raises ValueError that names an entry with our prefix
    that is no setting."""
    known = {PREFIX.lower() + name for name in fields.model_fields}
    mine: dict[str, str | None] = {}
    for name, value in found.items():
        if name in OTHERS and not _usable(OTHERS[name], value or ""):
            continue  # somebody else's kind of port or address
        if name in SHARED and not _has_our_own(name, found):
            mine[name] = value
        if not name.startswith(PREFIX.lower()) or _of_a_service(name, value):
            continue
        mine[name] = value
        if name not in known:
            hint = "".join(f"; did you mean {close.upper()}?" for close in get_close_matches(name, known, 1))
            raise ValueError(f"{name.upper()} in {where} is no setting{hint}")
    return mine


def _usable(kind: str, value: str) -> bool:
    """Whether `value` is a port, or an address to listen on."""
    value = value.strip()
    if kind == "port":
        return re.fullmatch("[0-9]{1,5}", value) is not None and int(value) <= 65535
    try:
        return bool(host_of(value))
    except ValueError:
        return False


def _has_our_own(name: str, found: Mapping[str, str | None]) -> bool:
    """Whether a setting that many programs read, such as PORT, is given under our name too, for us alone."""
    own = PREFIX.lower() + name
    return bool((found.get(own) or "").strip()) and not _of_a_service(own, found[own])


def _of_a_service(name: str, value: str | None) -> bool:
    port = _SERVICE_PORT.fullmatch(name) and _SERVICE_URL.match(value or "")
    linked = _LINKED.fullmatch(name) or (_LINKED_NAME.fullmatch(name) and (value or "").startswith("/"))
    return bool(port or linked or _SERVICE.fullmatch(name))


class Environment(EnvSettingsSource):
    """The environment variables that belong to Parley."""

    def _load_env_vars(self) -> Mapping[str, str | None]:
        found = {name: _unquoted(value) for name, value in super()._load_env_vars().items()}
        return ours(found, self.settings_cls, "the environment")


def _unquoted(value: str | None) -> str | None:
    """Docker's `--env-file` and others like it leave the quotes that a shell would take away."""
    bare = (value or "").strip()
    return bare[1:-1] if len(bare) > 1 and bare[0] == bare[-1] and bare[0] in "'\"" else value


class EnvFile(tuple[str, ...]):
    """Names the `.env` file of the current folder to `DotEnv`, and nothing to pydantic's own reader, which would end at a letter
    that it cannot read."""

    path = Path(".env")


class DotEnv(DotEnvSettingsSource):
    """The lines of a `.env` file that belong to Parley. A file that cannot be read is taken for another program's."""

    def _read_env_files(self) -> Mapping[str, str | None]:
        if not isinstance(self.env_file, EnvFile):
            return ours(super()._read_env_files(), self.settings_cls, "the file of settings")
        path = self.env_file.path
        try:
            if path.is_fifo():  # of a keeper of passwords, which asks its user first
                log.warning("%s is a pipe: what is written into it is waited for", path)
            written = path.read_bytes()
            # A shell of Windows writes UTF-16 where a text is sent to a file.
            encoding = "utf-16" if written.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
            lines = dotenv_values(stream=io.StringIO(written.decode(encoding, errors="replace"), newline=None))
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return {}
        except OSError as error:
            log.warning("%s is not read: %s", path, error.strerror)
            return {}
        return ours({name.lower(): value for name, value in lines.items() if value}, self.settings_cls, str(path))


def unusable() -> dict[str, str]:
    """Variables with which HTTP clients cannot even be made or Gradio not be imported, each with the reason: a proxy of an unknown
    kind, certificates that are not there, a number that is none. They were set for other programs."""
    found = {}
    for name, value in os.environ.items():
        try:
            if name.lower() in PROXIES and value:
                hide_passwords(value)
                httpx.Proxy(value if "://" in value else f"http://{value}")
            elif name.lower() == "no_proxy" and ",".join(_without_proxy(value)) != value.replace(" ", ""):
                found[name] = "some of its hosts cannot be read"
            elif name == "SSL_CERT_FILE" and value:
                ssl.create_default_context(cafile=value)
            elif name == "SSL_CERT_DIR" and value:
                ssl.create_default_context(capath=value)
            elif name in NUMBERS or (name in NUMBERS_OR_NONE and value.lower() not in ("", "none")):
                int(value)
        except (OSError, ValueError, httpx.InvalidURL) as error:
            found[name] = str(error)
    return found


def _without_proxy(hosts: str) -> list[str]:
    """The hosts of NO_PROXY as httpx can read them: an IPv6 address without its brackets, and no network of such addresses."""
    usable = []
    for host in (each.strip() for each in hosts.split(",")):
        bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
        place = f"[{bare}]" if ":" in bare and "://" not in bare and bare.count(":") > 1 else f"*{bare}"
        try:
            httpx.URL(bare if "://" in bare else f"all://{place}")
        except httpx.InvalidURL:
            continue
        usable.append(bare)
    return usable


def drop_unusable() -> dict[str, str]:
    """Removes the `unusable` variables from this process's environment, and returns them with their values."""
    dropped = {}
    for name, reason in unusable().items():
        log.warning("%s is ignored: %s" if name.lower() != "no_proxy" else "%s is read in part: %s", name, reason)
        dropped[name] = os.environ.pop(name)
        if name.lower() == "no_proxy":
            os.environ[name] = ",".join(_without_proxy(dropped[name]))
    return dropped


def cache_folder() -> Path:
    """The folder for downloads: the user's cache, or for a user without one a folder of theirs among the temporary files."""
    try:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser().absolute()
    except RuntimeError:  # neither HOME nor an entry among the users
        return _temporary()
    nearest = next(folder for folder in (cache, *cache.parents) if _is_there(folder))
    return cache / "parley" if nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK) else _temporary()


def _is_there(place: Path) -> bool:
    """Whether this user can see it: `sudo` and containers leave the HOME of somebody else, whose folders may be closed."""
    try:
        return place.exists()
    except OSError:
        return False


def _temporary() -> Path:
    folder = Path(tempfile.gettempdir()) / f"parley-cache-{os.getuid()}"
    try:
        return private_folder(folder)
    except OSError:  # somebody was there first
        return Path(tempfile.mkdtemp(prefix="parley-cache-"))


def private_folder(folder: Path) -> Path:
    """Makes `folder` for this user alone. Raises OSError when the folder is there and somebody else could have put something
    into it: where everybody may write, anybody can make a folder whose name can be foretold."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise PermissionError(errno.EPERM, "belongs to somebody else, or others may write into it", str(folder))
    return folder
