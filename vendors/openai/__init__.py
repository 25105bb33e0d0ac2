"""OpenAI, and whoever speaks like it. The `url` of an endpoint is what `/models` stands under."""

from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

from services.endpoint import Endpoint

OPENAI: Final = "https://api.openai.com/v1"


def is_openai(endpoint: Endpoint) -> bool:
    """It is OpenAI itself, wherever it keeps the data, and not a server that speaks like it."""
    return f".{urlsplit(endpoint.url).netloc}".endswith(f".{urlsplit(OPENAI).netloc}")


def with_model(endpoint: Endpoint, model: str) -> Endpoint:
    """`endpoint`, with `model` where it is OpenAI itself and none is set. Of other servers it is asked which they have."""
    return replace(endpoint, model=endpoint.model or model) if is_openai(endpoint) else endpoint
