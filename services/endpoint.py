"""Where a service is, and how long it is waited for."""

from dataclasses import dataclass, field

from pydantic import SecretStr


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What `url` means is the vendor's to say, and "" is where that vendor always is. Limits in seconds: on connecting, on the wait
    for the first piece of an answer, between two pieces, and on all waiting together. After repeated failures it is left alone for
    `rest_s`."""

    url: str = ""
    model: str = ""
    key: SecretStr = field(default_factory=lambda: SecretStr(""))
    connect_s: float = 2.0
    first_s: float = 8.0
    gap_s: float = 5.0
    total_s: float = 60.0
    rest_s: float = 20.0
