"""Makes a client from a Redis URL: for one server, one behind Sentinel, or a cluster."""

from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from redis.asyncio import BlockingConnectionPool, Redis, RedisCluster
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff

Client = Redis | RedisCluster
IN_PASSWORDS = "in a password, write / as %2F, # as %23, ? as %3F and @ as %40"
TIMEOUT_S = 2.0  # for connecting and for each answer: a server slower than this counts as away
_SENTINEL_PORT = 26379
SCHEMES = "redis://, rediss:// (TLS), unix://, redis+sentinel://, redis+cluster:// (rediss+... for TLS)"


class NoSuch(ValueError):
    """A URL of no Redis; the message is fit to be shown."""


def connect(url: str) -> Client:
    """A client that does not retry by itself (the writer does) and connects at its first use.

    `redis+sentinel://[user:password@]host[:port],.../service[/db][?sentinel_password=...]` asks Sentinel for the master of
    `service`; `redis+cluster://[user:password@]host:port` is a cluster. Raises ValueError for any other URL, which tells nothing of
    a password.
    """
    try:
        return _client(url)
    except (NoSuch, ImportError):
        raise
    except Exception as error:  # the libraries quote what they take for a port
        why = IN_PASSWORDS if "@" in url else str(error)
        raise NoSuch(f"REDIS_URL is no address such as redis://:password@host:6379/0 ({why})") from None


def _client(url: str) -> Client:
    scheme, found, rest = url.partition("://")
    if not found:
        raise NoSuch(f"REDIS_URL has no scheme; it must be one of {SCHEMES}")
    options: dict[str, Any] = {"socket_timeout": TIMEOUT_S, "socket_connect_timeout": TIMEOUT_S}
    if scheme in ("redis+cluster", "rediss+cluster"):
        return RedisCluster.from_url(f"{scheme.removesuffix('+cluster')}://{rest}", **options)
    options["retry"] = Retry(NoBackoff(), 0)
    if scheme in ("redis+sentinel", "rediss+sentinel"):
        return _behind_sentinel(url, options)
    if scheme not in ("redis", "rediss", "unix"):
        raise NoSuch(f"REDIS_URL begins with {scheme!r}; it must be one of {SCHEMES}")
    # One connection carries it all: a second one, opened when a reader meets the writer, would stay open and save nothing.
    pool = BlockingConnectionPool.from_url(url, max_connections=1, timeout=TIMEOUT_S, **options)
    return Redis.from_pool(pool)


def _behind_sentinel(url: str, options: dict[str, Any]) -> Redis:
    parts = urlsplit(url)
    account, _, hosts = parts.netloc.rpartition("@")
    service, _, db = parts.path.strip("/").partition("/")
    if not service:
        raise NoSuch("REDIS_URL for Sentinel lacks the name of the service: redis+sentinel://host:26379/service")
    addresses = [(host, int(port or _SENTINEL_PORT)) for host, _, port in (item.partition(":") for item in hosts.split(","))]
    username, _, password = account.partition(":")
    options |= {"db": int(db or 0), "username": unquote(username) or None, "password": unquote(password) or None}
    options["ssl"] = parts.scheme.startswith("rediss")
    watch = {name: options[name] for name in ("socket_timeout", "socket_connect_timeout", "retry", "ssl")}
    watch["password"] = parse_qs(parts.query).get("sentinel_password", [None])[0]
    sentinel = Sentinel(addresses, sentinel_kwargs=watch, **options)  # type: ignore[no-untyped-call]
    master: Redis = sentinel.master_for(service)
    return master
