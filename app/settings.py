"""Every setting, with its unit and its default. They are read from flags (`--port 8000`), then the environment (`PARLEY_PORT`),
then `.env`."""

import logging
import math
import os
from argparse import SUPPRESS
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, CliSuppress, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from app.core.session_settings import EAGERNESS, Eagerness, SessionSettings
from configuration.environment import PREFIX, DotEnv, EnvFile, Environment, cache_folder
from configuration.redaction import clean, hide, hide_passwords, without_values
from configuration.setting_types import (
    Folder,
    Gone,
    Header,
    Host,
    Hosts,
    Ip,
    Key,
    Language,
    Languages,
    LogLevel,
    NodeUrl,
    Origins,
    Port,
    Seconds,
    SigningSecret,
    StunUrl,
    TurnUrl,
    Vendor,
    Zone,
    complaint,
    listed,
    travelling_key,
)

log = logging.getLogger(__name__)

RENAMED = {"stt_captions": "stt_interim"}

__all__ = ["EAGERNESS", "Eagerness", "Settings", "read_settings"]


class Settings(BaseSettings):
    """All settings of Parley. Times are in ms where the name ends in `_ms`, in seconds where it ends in `_s`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=EnvFile(),
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        populate_by_name=True,
        hide_input_in_errors=True,
    )

    # Where it runs
    host: Host = Field(
        default="0.0.0.0" if "SPACE_ID" in os.environ else "127.0.0.1",
        validation_alias=AliasChoices("host", "PARLEY_HOST", "GRADIO_SERVER_NAME"),
        description="address to listen on (all addresses inside a Hugging Face Space)",
    )
    port: Port = Field(
        default=7860,
        validation_alias=AliasChoices("port", "PARLEY_PORT", "PORT", "GRADIO_SERVER_PORT"),
        description="TCP port of the page and the API",
    )
    data_dir: Folder = Field(default=Path("data"), description="folder for the embedded store and the signing secret")
    weights_dir: Folder = Field(default_factory=cache_folder, description="folder that keeps the model weights")
    log_level: LogLevel = "INFO"
    secret: SigningSecret = Field(
        default=SecretStr(""), description="key that signs session tokens; empty: one is made and kept in data_dir"
    )
    drain_s: Annotated[float, Field(ge=0)] = Field(
        default=30.0, description="a server that is told to end lets what is being said be heard for at most so long"
    )
    max_sessions: Annotated[int, Field(ge=1)] = Field(default=8, description="conversations at once; more are refused")
    cors_origins: Origins = Field(
        default="", description="other origins whose pages may use the API, separated by commas; * for all; empty: only our own"
    )
    allowed_hosts: Hosts = Field(
        default="",
        description="names by which browsers may reach this server, separated by commas; *.example.org for all below; * for any; "
        "empty: localhost when it listens on the loopback, else any. Addresses always work",
    )
    frame_ancestors: Origins = Field(
        default="https://huggingface.co" if "SPACE_ID" in os.environ else "",
        description="origins whose pages may show ours in a frame, separated by commas; * for all; empty: only our own",
    )
    max_connections: Annotated[int, Field(ge=0)] = Field(
        default=0, description="TCP connections at once; 0: half of what the system lets a process open"
    )
    request_timeout_s: Annotated[float, Field(gt=0)] = Field(
        default=10.0, description="a client has so long for the head of a request"
    )
    max_per_address: Annotated[int, Field(ge=0)] = Field(
        default=4, description="conversations at once from one address of another machine; 0: as many as there are"
    )
    address_header: Header = Field(
        default="X-Forwarded-For" if "SPACE_ID" in os.environ else "",
        description="header in which a trusted proxy names the client's address, e.g. X-Forwarded-For; its last counts",
    )
    start_timeout_s: Seconds = Field(
        default=15.0, description="a connection that has not started with a valid token by then is ended"
    )
    idle_timeout_s: Seconds = Field(
        default=300.0, description="a connection on which nobody speaks, types or hears a reply for so long is ended"
    )
    messages_per_second: Annotated[int, Field(ge=1)] = Field(
        default=200, description="above this a client is disconnected as a flood"
    )

    # One of several
    node_url: NodeUrl = Field(
        default="",
        description="where this very server is reached, when several have one address, e.g. https://node-1.example.org: clients "
        "are told to stay with it; the page does where cors_origins has the common address",
    )
    node_address: Ip = Field(
        default="", description="IP address by which WebRTC reaches this machine, when it has another itself (behind NAT)"
    )

    # Network path of WebRTC
    stun_url: StunUrl = Field(default="", description="STUN server, e.g. stun:stun.example.org:3478")
    turn_url: TurnUrl = Field(default="", description="TURN server, e.g. turn:turn.example.org:3478")
    turn_username: str = ""
    turn_credential: SecretStr = SecretStr("")

    # Persistence
    redis_url: str = Field(
        default="",
        validation_alias=AliasChoices("redis_url", "PARLEY_REDIS_URL", "REDIS_URL"),
        repr=False,
        description="Redis server; empty: an embedded one is started",
    )
    session_ttl_s: Annotated[int, Field(ge=1)] = Field(default=3600, description="a session can be resumed for so long")
    log_ttl_s: Annotated[int, Field(ge=1)] = Field(default=2_592_000, description="an audit log is kept for so long (30 days)")
    log_transcripts: bool = Field(default=True, description="keep texts in the audit log; off: times and states only")

    # Language
    language: Language = Field(
        default="en", description="what is spoken, by both sides: one of the folders of languages/, or of another package's"
    )

    other_languages: Languages = Field(
        default="", description="more languages that a conversation may be held in, separated by commas; each takes some 300 MB"
    )

    # Knowledge
    knowledge: Folder | None = Field(
        default=None, description="folder of documents to answer from (.md, .txt, .html, .pdf, .docx, .csv); empty: ours"
    )

    # Services: "local" (embedded), "openai", the URL of a service that speaks like OpenAI's, up to and with /v1, or a vendor of
    # another package (docs/extending.md), as NAME or NAME=WHERE
    llm: Vendor = Field(
        default="local", description="language model: local (answers from the knowledge alone), openai, URL, .gguf or a vendor"
    )
    llm_model: str = Field(default="", description="its name; empty: the service's first, or a small one of OpenAI")
    llm_key: Key = Field(default=SecretStr(""), description="key of the service at a URL")
    llm_first_s: Seconds = Field(default=8.0, description="its first word later than this: answers come from the knowledge")
    stt: Vendor = Field(default="local", description="speech to text: local, openai, URL or a vendor")
    stt_model: str = ""
    stt_key: Key = SecretStr("")
    stt_first_s: Seconds = Field(default=5.0, description="its text later than this: the embedded recogniser is asked")
    stt_interim: bool = Field(default=False, description="ask the service for interim transcripts too, not only at pauses")
    stt_captions: CliSuppress[bool | None] = None
    tts: Vendor = Field(default="local", description="voice: local, openai, URL or a vendor")
    tts_model: str = ""
    tts_key: Key = SecretStr("")
    tts_voice: str = Field(default="alloy", description="voice of the service")
    tts_voices: str = Field(
        default="",
        description="voices that a conversation may choose from, separated by commas; empty: OpenAI's, or its one voice",
    )
    tts_rate: Annotated[int, Field(ge=4000, le=192_000)] = Field(
        default=24_000, description="Hz of its raw PCM, where it does not tell"
    )
    tts_first_s: Seconds = Field(default=3.0, description="its first sound later than this: the embedded voice speaks")
    openai_api_key: SecretStr = Field(  # of many programs: it is looked at where it is used
        default=SecretStr(""),
        validation_alias=AliasChoices("openai_api_key", "PARLEY_OPENAI_API_KEY", "OPENAI_API_KEY"),
        description='key of OpenAI, sent nowhere but to the services set to "openai"',
    )
    connect_s: Seconds = Field(default=2.0, description="longest wait for a connection to a service")
    gap_s: Seconds = Field(default=5.0, description="longest wait between two pieces of an answer")
    total_s: Seconds = Field(default=60.0, description="longest wait for an answer in all")
    speculate_remotely: bool = Field(
        default=False, description="give services what a pause may have ended: faster, but calls are paid for that nobody hears"
    )

    # Tools
    tools: str = Field(
        default="", description="more tools: folders of .py files, .py files or names of Python packages, separated by commas"
    )
    tool_timeout_s: Seconds = Field(default=5.0, description="a tool that takes longer is given up")
    time_zone: Zone = Field(default="", description="where the time is told, e.g. Europe/Berlin; empty: the machine's zone")

    # Hearing: turns
    vad_threshold: float = Field(default=0.5, description="probability above which a 32 ms window is speech")
    onset_windows: int = Field(default=2, description="voiced windows in a row that make an onset")
    preroll_ms: int = Field(default=400, description="audio kept from before the onset")
    pause_ms: int = Field(default=32, description="silence after which a reply is prepared")
    eagerness: Eagerness = Field(
        default="medium", description="how soon a pause is taken for the end of a turn: low waits longer, high answers sooner"
    )
    max_turn_s: float = Field(default=30.0, description="a longer turn is read in parts")
    partial_every_ms: int = Field(default=500, description="interval of live captions while the user speaks")

    # Barge-in
    hold_ms: int = Field(default=128, description="voice over the agent for so long pauses its reply")
    barge_in_ms: int = Field(default=128, description="voice over the agent for so long may be taken for an interruption")
    barge_in_thinking_ms: int = Field(default=200, description="the same while the agent thinks")
    backchannel_ms: int = Field(default=640, description="a longer acknowledgement is looked at word by word")
    duck_gain: float = Field(default=0.25, description="volume while it is unclear whether the user interrupts")
    reopen_ms: int = Field(default=1200, description="speech so soon after a reply began continues the turn before it")
    speaker_lock: bool = Field(
        default=True,
        description="compare a weak voice over the agent with that of the user's turns, to tell who else is in the room",
    )
    half_duplex: bool = Field(default=False, description="do not listen while the agent speaks (rooms with loud speakers)")

    # Replies
    greeting: bool = Field(default=True, description="greet when a conversation starts")
    filler_after_ms: int = Field(default=900, description="say a filler when the first audio is later than this")
    silence_prompt_s: Annotated[float, Field(ge=0)] = Field(
        default=30.0, description="ask whether the user is still there after so long a silence; 0: never"
    )
    silence_goodbye_s: Annotated[float, Field(ge=0)] = Field(
        default=90.0, description="say goodbye and end the conversation so long after that; 0: never"
    )
    reply_timeout_s: float = Field(default=20.0, description="a reply that takes longer is given up with an apology")
    speed: Annotated[float, Field(ge=0.5, le=2.0)] = Field(default=1.0, description="pace of the voice")
    stop_ack_ms: int = Field(default=250, description="how long to wait for playback_stopped before estimating it")
    done_ack_ms: int = Field(default=600, description="how long past the paced end to wait for playback_done")

    # Replaced by `eagerness`: the end of a turn is one judgement for every kind of turn.
    end_silence_ms: Gone = None
    likely_silence_ms: Gone = None
    choice_silence_ms: Gone = None
    statement_silence_ms: Gone = None
    unsure_silence_ms: Gone = None
    max_pause_ms: Gone = None
    complete_threshold: Gone = None

    @model_validator(mode="before")
    @classmethod
    def _take_empty_for_unset(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Strips what surrounds a value (a line end after a key in a file), and takes an empty value for none."""
        stripped = {name: value.strip() if isinstance(value, str) else value for name, value in values.items()}
        for old, new in RENAMED.items():
            if old in stripped:
                log.warning("%s is called %s now: this is its last version under the old name", old, new)
                stripped.setdefault(new, stripped.pop(old))
        return {name: value for name, value in stripped.items() if value != ""}

    @field_validator("*")
    @classmethod
    def _number_in_reach(cls, value: Any) -> Any:
        """Refuses numbers below zero and numbers without end, which mean nothing in any setting."""
        if isinstance(value, int | float) and not 0 <= value < math.inf:
            raise ValueError("a number of 0 or more is needed")
        return value

    @model_validator(mode="after")
    def _tell_what_is_gone(self) -> Self:
        for name, field in type(self).model_fields.items():
            if SUPPRESS in field.metadata and getattr(self, name) is not None:
                log.warning(
                    "%s has no effect any more: eagerness (low, medium or high) says how soon a pause ends a turn", name
                )
        return self

    @model_validator(mode="after")
    def _hide_secrets(self) -> Self:
        values = [getattr(self, name) for name in type(self).model_fields]
        hide(*(value.get_secret_value() for value in values if isinstance(value, SecretStr)))
        hide_passwords(*(value for value in values if isinstance(value, str)))
        if "openai" in (self.llm, self.stt, self.tts):
            travelling_key(self.openai_api_key, "openai_api_key: ")
        return self

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """The arguments of `repr` and `str`, without the password that a URL may hold."""
        return ((name, clean(value) if isinstance(value, str) else value) for name, value in super().__repr_args__())

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The sources that settings are read from, the first of which wins."""
        return (
            init_settings,
            Environment(settings_cls),
            DotEnv(settings_cls, env_file=getattr(dotenv_settings, "env_file", None)),
        )

    def allowed_origins(self) -> list[str]:
        """The origins of other pages that may use this server."""
        return listed(self.cors_origins)

    def hosts(self) -> list[str]:
        """The names (lower case) by which browsers may reach this server; "*" for any."""
        return listed(self.allowed_hosts)

    def session_voices(self) -> tuple[str, ...]:
        """The voices that a conversation may choose from, where the settings name them."""
        return tuple(listed(self.tts_voices))

    def framers(self) -> list[str]:
        """The origins that may show the page in a frame."""
        return listed(self.frame_ancestors)

    def of_session(self) -> SessionSettings:
        """The settings of a conversation that sets nothing itself."""
        return SessionSettings(
            voice=None if self.tts == "local" else self.tts_voice,
            interruption="speech",
            recording=self.log_transcripts,
            **{name: getattr(self, name) for name in ("speed", "eagerness", "language", "greeting", "half_duplex")},
        )

    def rtc_configuration(self) -> dict[str, Any]:
        """The ICE servers, as browsers and aiortc take them; none on a network where both sides see each other."""
        servers: list[dict[str, Any]] = []
        if self.stun_url:
            servers.append({"urls": [self.stun_url]})
        if self.turn_url:
            servers.append(
                {"urls": [self.turn_url], "username": self.turn_username, "credential": self.turn_credential.get_secret_value()}
            )
        return {"iceServers": servers}


class _Flags(
    Settings,
    cli_prog_name="app.py",
    cli_kebab_case=True,
    cli_implicit_flags=True,
    cli_avoid_json=True,
    cli_hide_none_type=True,
    cli_exit_on_error=False,
):
    """Parley, a voice agent you can talk over. Each flag can also be set in the environment: --turn-url as PARLEY_TURN_URL."""


def read_settings(arguments: Sequence[str]) -> Settings:
    """Settings from command-line flags, then the environment, then `.env`; `--help` prints them all and exits.

    Raises ValueError that names the setting, or the flag, and what is wrong with it.
    """
    try:
        return _Flags(_cli_parse_args=list(arguments))  # type: ignore[call-arg]
    except SettingsError as error:
        raise ValueError(without_values(str(error))) from None
    except ValidationError as error:
        raise ValueError(clean(complaint(error))) from None
