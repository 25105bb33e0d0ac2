"""Every kind of Redis URL against a real server of that kind."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from server.store.commands import UNREACHABLE, server_memory
from server.store.redis_client import connect
from server.store.store import Store
from tests.bench.server import free_port
from tests.integration.certificates import self_signed
from tests.integration.redis_servers import DebianRedis, becomes, settings

ALONE = ("--cluster-require-full-coverage", "no", "--cluster-node-timeout", "2000")


async def assert_works(url: str, tmp_path: Path) -> None:
    async with Store(settings(tmp_path, url)) as store:
        for index in range(20):
            for session in range(5):
                store.log(f"s{session}", {"kind": "event", "index": index})
        assert await store.drain(10), store.status.reason
        assert await store.claim("s0") is None
        for session in range(5):
            assert [entry["index"] async for entry in store.read_log(f"s{session}")] == list(range(20))
        await store.erase("s1")
        assert [entry async for entry in store.read_log("s1")] == []


async def test_a_password_and_a_database(tmp_path: Path) -> None:
    port = free_port()
    server = DebianRedis(tmp_path / "redis", "--port", str(port))
    await server.start()
    async with server.admin() as admin:
        await admin.config_set("requirepass", "p:w@d")
    await assert_works(f"redis://:p%3Aw%40d@127.0.0.1:{port}/2", tmp_path)
    async with Store(settings(tmp_path, f"redis://:wrong@127.0.0.1:{port}/2")) as store:
        assert store.status.state == "degraded" and "password" in store.status.reason
    await server.close()


async def test_tls(tmp_path: Path) -> None:
    pem, private = self_signed(tmp_path)
    port = free_port()
    options = ["--port", "0", "--tls-port", str(port), "--tls-cert-file", str(pem), "--tls-key-file", str(private)]
    server = DebianRedis(tmp_path / "redis", *options, "--tls-auth-clients", "no", "--tls-ca-cert-file", str(pem))
    await server.start()
    await assert_works(f"rediss://localhost:{port}/0?ssl_ca_certs={pem}", tmp_path)
    async with Store(settings(tmp_path, f"rediss://localhost:{port}/0")) as store:
        assert store.status.state == "degraded", "a certificate that nobody vouches for must not be accepted"
    await server.close()


async def test_sentinel(tmp_path: Path) -> None:
    port, watch = free_port(), free_port()
    server = DebianRedis(tmp_path / "redis", "--port", str(port))
    await server.start()
    config = tmp_path / "sentinel.conf"
    config.write_text(f"port {watch}\nsentinel monitor main 127.0.0.1 {port} 1\n")
    command = ["redis-server", str(config), "--sentinel", "--logfile", str(tmp_path / "sentinel.log")]
    sentinel = await asyncio.create_subprocess_exec(*command)
    try:
        await assert_works(f"redis+sentinel://127.0.0.1:{watch}/main/0", tmp_path)
    finally:
        sentinel.kill()
        await sentinel.wait()
        await server.close()


async def test_cluster(tmp_path: Path) -> None:
    port = free_port()
    server = DebianRedis(
        tmp_path / "redis", "--port", str(port), "--cluster-enabled", "yes", "--cluster-port", str(free_port())
    )
    await server.start()
    async with server.admin() as admin:
        await admin.execute_command("CLUSTER", "ADDSLOTSRANGE", "0", "16383")

        async def ready() -> bool:
            return b"cluster_state:ok" in await admin.execute_command("CLUSTER", "INFO", NEVER_DECODE=True)

        await becomes(ready)
    await assert_works(f"redis+cluster://127.0.0.1:{port}", tmp_path)
    await server.close()


@asynccontextmanager
async def three_shards(folder: Path) -> AsyncIterator[list[DebianRedis]]:
    """A cluster of three primaries that goes on without one of them."""
    servers = []
    async with AsyncExitStack() as stack:
        for shard in range(3):
            port, bus = str(free_port()), str(free_port())
            servers.append(
                DebianRedis(folder / f"{shard}", "--port", port, "--cluster-enabled", "yes", "--cluster-port", bus, *ALONE)
            )
            await servers[-1].start()
            stack.push_async_callback(servers[-1].close)
        admins = [await stack.enter_async_context(server.admin()) for server in servers]
        for admin, first, last, epoch in zip(admins, (0, 5461, 10923), (5460, 10922, 16383), (1, 2, 3), strict=True):
            await admin.execute_command("CLUSTER", "ADDSLOTSRANGE", first, last)
            await admin.execute_command("CLUSTER", "SET-CONFIG-EPOCH", epoch)
        there = await admins[0].config_get("*port")
        for admin in admins[1:]:
            await admin.execute_command("CLUSTER", "MEET", "127.0.0.1", there["port"], there["cluster-port"])

        async def ready() -> bool:
            told = [await admin.execute_command("CLUSTER", "INFO", NEVER_DECODE=True) for admin in admins]
            return all(b"cluster_state:ok" in info and b"slots_assigned:16384" in info for info in told)

        await becomes(ready)
        yield servers


async def test_the_fullest_shard_of_a_cluster_counts_and_one_that_is_gone_does_not(tmp_path: Path) -> None:
    async with three_shards(tmp_path) as servers, servers[0].admin() as admin:
        url = f"redis+cluster://127.0.0.1:{(await admin.config_get('port'))['port']}"
        client = connect(url)
        assert (await server_memory(client)).full == 0
        for server in servers:
            async with server.admin() as one:
                await one.config_set("maxmemory", int((await one.info("memory"))["used_memory"] * 1.05))
                assert (await server_memory(client)).full > 0.9
                await one.config_set("maxmemory", 0)
        await servers[2].kill()
        assert (await server_memory(client)).full == 0
        for server in servers[:2]:
            await server.kill()
        with pytest.raises(UNREACHABLE):
            await server_memory(client)
        await client.aclose()


@pytest.mark.parametrize(
    "url", ["localhost:6379", "http://localhost", "redis+sentinel://localhost:26379", "redis://localhost:x"]
)
def test_a_url_that_can_not_be_one_is_refused_with_the_reason(url: str) -> None:
    with pytest.raises(ValueError, match=r"REDIS_URL|[Pp]ort"):
        connect(url)
