"""Proxies and certificates that the environment names for other programs stop no client of ours."""

import asyncio
import logging

import pytest
from pydantic import SecretStr

from services.endpoint import Endpoint
from services.health import Health
from vendors.http.client import HttpClient

ODD = [
    ("ALL_PROXY", "socks4://nowhere:1"),
    ("HTTPS_PROXY", "http://me:wo/rd-12@proxy:3128"),
    ("SSL_CERT_FILE", "/nowhere/cert.pem"),
    ("NO_PROXY", "localhost,[::1]"),
    ("NO_PROXY", "fd00::/8,*.x:y"),
]


@pytest.mark.parametrize(("name", "value"), ODD)
def test_what_the_environment_says_of_the_network_and_cannot_be_is_left_aside(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str, value: str
) -> None:
    for other in ("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE"):
        monkeypatch.delenv(other, raising=False)
        monkeypatch.delenv(other.lower(), raising=False)
    monkeypatch.setenv(name, value)

    async def warm() -> None:
        client = HttpClient("llm", Endpoint("http://127.0.0.1:9/v1", "", SecretStr(""), 1.0, 1.0, 1.0, 1.0), Health())
        await client.warm()
        await client.close()

    with caplog.at_level(logging.WARNING):
        asyncio.run(warm())
    assert "of the environment are ignored" in caplog.text
    assert "wo/rd-12" not in caplog.text
