"""What the agent does when nobody says anything: a gentle prompt after a long silence, goodbye after a longer one."""

import asyncio

from app.alarm import Host, talks
from app.events import Disconnected, Happening, Prompted, SessionStarted, Text, TurnEnded
from app.settings import Settings

STILL_THERE = "still_there"
GOODBYE = "silence_goodbye"


class Silence:
    """Counts while neither the user nor the agent speaks, in a conversation whose last turn was spoken: whoever types, or has set a
    timer, may take their time. Noise begins the count anew; a turn takes back the prompt too."""

    def __init__(self, host: Host, settings: Settings) -> None:
        self._host = host
        self._settings = settings
        self._spoken = False
        self._talking = False
        self._prompted = False  # the prompt has been heard since the last turn
        self._handle: asyncio.TimerHandle | None = None

    def follow(self, event: Happening) -> None:
        """To be called after every event."""
        self._talking = talks(event, self._talking)
        if isinstance(event, TurnEnded | Text | SessionStarted | Disconnected):
            self._spoken, self._prompted = isinstance(event, TurnEnded), False
        reply = self._host.speaking.reply
        if self._host.state == "SPEAKING" and reply is not None and reply.request.line == STILL_THERE:
            self._prompted = True
        self.stop()
        free = self._host.state == "LISTENING" and not self._talking and (reply is None or reply.cancelled)
        wait_s = self._settings.silence_goodbye_s if self._prompted else self._settings.silence_prompt_s
        if self._spoken and free and wait_s and not self._host.memory.timers:
            self._handle = asyncio.get_running_loop().call_later(wait_s, self._speak)

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _speak(self) -> None:
        self._host.happened(Prompted(line=GOODBYE if self._prompted else STILL_THERE))
