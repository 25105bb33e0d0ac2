"""Where a service is, and how long it is waited for."""

from dataclasses import dataclass, field
from typing import Final

from pydantic import SecretStr

OPENAI: Final = "https://api.openai.com/v1"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Of a service that speaks like OpenAI's `url` is what `/models` stands under; another vendor's has a meaning of its own, and
    "" is where that vendor always is. Limits in seconds: on connecting, on the wait for the first piece of an answer, between two
    pieces, and on all waiting together. After repeated failures it is left alone for `rest_s`."""

    url: str = ""
    model: str = ""
    key: SecretStr = field(default_factory=lambda: SecretStr(""))
    connect_s: float = 2.0
    first_s: float = 8.0
    gap_s: float = 5.0
    total_s: float = 60.0
    rest_s: float = 20.0

    @property
    def is_openai(self) -> bool:
        """It is OpenAI itself, and not a server that speaks like it."""
        return self.url == OPENAI
