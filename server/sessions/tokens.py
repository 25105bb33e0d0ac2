"""Who may join a conversation: ids that cannot be guessed, and tokens that prove themselves, so that nothing is kept for a session
that nobody opens.

Errors
    Refused
    +-- Forbidden   the token does not belong to the id
    |   +-- Foreign it was signed with another secret
    +-- Unknown     the session has expired or was erased
    +-- Full        as many conversations as this process may have, or as its models can keep up with
    +-- Leaving     this process is going down
    +-- Crowd       as many as may come from one address
    +-- NotReady    the models could not be started
    +-- Impossible  this process cannot do what is wanted of the conversation
    +-- TooMuch     what is wanted of it takes too many words
"""

import base64
import hmac
import json
import logging
import os
import re
import secrets
import zlib
from typing import NamedTuple

from cryptography.fernet import Fernet
from filelock import FileLock
from prometheus_client import Counter

from app.core.clock import Clock
from app.core.session_settings import SessionSettings
from app.protocol.messages import MAX_TOKEN, Error
from app.settings import Settings

log = logging.getLogger(__name__)

PLAIN = SessionSettings()
SECRET_BYTES = 32
ID_BYTES = 18
KEY_DIGITS = 16

REFUSED = Counter("parley_sessions_refused", "Clients that were not let in", ["code"])


class Refused(Exception):
    """A client may not have what it asks for. The message is fit for a person, `code` is for the wire, `status` for HTTP.
    `retry_after_s` says when trying again may help; 0: never."""

    code = "refused"
    status = 403
    retry_after_s = 0

    def __init__(self, message: str, field: str | None = None) -> None:
        """`field` names the part of the client's request that is at fault."""
        super().__init__(message)
        self.field = field
        REFUSED.labels(self.code).inc()

    def as_event(self) -> Error:
        """The refusal as the message that ends the client's connection."""
        return Error(code=self.code, message=str(self), fatal=True, field=self.field)


class Forbidden(Refused):
    """The token is not of this session."""

    code = "wrong_token"


class Foreign(Forbidden):
    """The token was made with another secret."""

    code = "other_secret"


class Unknown(Refused):
    """There is no such session, or it is over."""

    code = "unknown_session"
    status = 404


class Full(Refused):
    """All places are taken, or the models are behind."""

    code = "full"
    status = 503
    retry_after_s = 10


class Leaving(Refused):
    """This server is going down."""

    code = "shutting_down"
    status = 503
    retry_after_s = 1


class Crowd(Refused):
    """The address has as many conversations as it may have."""

    code = "too_many"
    status = 429
    retry_after_s = 10


class NotReady(Refused):
    """The models are not warm, and never will be."""

    code = "not_ready"
    status = 503
    retry_after_s = 10


class Impossible(Refused):
    """This process cannot follow the settings of the conversation."""

    code = "not_possible"
    status = 400


class TooMuch(Refused):
    """The settings of the conversation take too many words."""

    code = "too_large"
    status = 400


class Ticket(NamedTuple):
    """What a client needs to open a conversation; `expires_at` is in seconds since 1970 (UTC)."""

    session_id: str
    token: str
    expires_at: float


def signing_secret(settings: Settings) -> bytes:
    """The key of all tokens: from the settings, or made once and kept in `data_dir/secret`, which only its owner can read.

    Where no file can be kept, the key is made for this process alone. Raises ValueError when that file holds no key, OSError
    when it cannot be read.
    """
    if given := settings.secret.get_secret_value():
        return given.encode()
    path = settings.data_dir / "secret"
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        with FileLock(settings.data_dir / "secret.lock"):  # of two processes on a new folder one makes the key
            if not path.exists():
                new = path.with_suffix(".new")
                with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                    file.write(secrets.token_hex(SECRET_BYTES).encode())
                new.replace(path)
    except OSError as error:
        if not path.exists():
            log.warning("%s cannot be used (%s): tokens end with this process", settings.data_dir, error.strerror)
            return secrets.token_bytes(SECRET_BYTES)
    key = path.read_bytes().strip()
    if len(key) < SECRET_BYTES:
        raise ValueError(f"{path} holds no signing key: delete it to have a new one made")
    return key


class Tickets:
    """Issues ids and tokens, and checks them without having kept them."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        """Raises as `signing_secret` does."""
        self._secret = signing_secret(settings)
        self.key = self._mac("which key is this?")[:KEY_DIGITS]  # tells it from others and tells nothing of it
        self._box = Fernet(base64.urlsafe_b64encode(bytes.fromhex(self._mac("what is sealed in a token"))))
        self._ttl_s = settings.session_ttl_s
        self._clock = clock

    def issue(self, chosen: SessionSettings = PLAIN) -> Ticket:
        """A new id and its token. `chosen` stands in the token, sealed, as nothing is kept of the conversation yet;
        `settings_in` reads it. Raises TooMuch where the token would be longer than MAX_TOKEN."""
        issued = int(self._clock.epoch_ms() / 1000)
        session_id = f"{issued:x}-{secrets.token_urlsafe(ID_BYTES)}"
        kept = json.dumps(chosen.as_kept(), ensure_ascii=False).encode()
        sealed = self._box.encrypt(zlib.compress(kept)).decode() if chosen.as_kept() else ""
        token = self._sign(session_id, sealed)
        if len(token) > MAX_TOKEN:
            raise TooMuch("the settings of a conversation are too long together: shorten the instructions", "instructions")
        return Ticket(session_id, token, issued + self._ttl_s)

    def settings_in(self, token: str) -> SessionSettings:
        """The settings with which a token was issued that has been checked."""
        sealed = token.split(".", 2)[2:]
        return SessionSettings.kept(json.loads(zlib.decompress(self._box.decrypt(sealed[0])))) if sealed else PLAIN

    def check(self, session_id: str, token: str) -> None:
        """Raises Forbidden unless the token was made for this id, and Foreign where it is well formed but was signed with
        another secret."""
        sealed = "".join(token.split(".", 2)[2:])
        if hmac.compare_digest(self._sign(session_id, sealed).encode("utf-8", "replace"), token.encode("utf-8", "replace")):
            return
        key, dot, _ = token.partition(".")
        if dot and re.fullmatch(rf"[0-9a-f]{{{KEY_DIGITS}}}", key) and key != self.key:
            raise Foreign("the token was signed with another secret: all servers of one address need the same")
        raise Forbidden("the token does not belong to this session")

    def seal(self, url: str) -> str:
        """A signature of `url` that only servers with the secret can make."""
        return self._mac(f"address {url}")

    def is_young(self, session_id: str) -> bool:
        """Whether this id was issued within the time to live."""
        return int(session_id.partition("-")[0], 16) + self._ttl_s > self._clock.epoch_ms() / 1000

    def check_age(self, session_id: str) -> None:
        """Raises Unknown unless the id is young; for a session of which nothing is known."""
        if not self.is_young(session_id):
            raise Unknown("this session has expired")

    def _sign(self, session_id: str, sealed: str = "") -> str:
        mac = self._mac(session_id)
        return f"{self.key}.{self._mac(f'{mac} {sealed}')}.{sealed}" if sealed else f"{self.key}.{mac}"

    def _mac(self, text: str) -> str:
        return hmac.new(self._secret, text.encode("utf-8", "replace"), "sha256").hexdigest()
