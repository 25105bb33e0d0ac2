"""Makes the replies of one conversation: the draft that may become the next reply, and the reply that is committed and handed
to the player."""

from collections.abc import Callable

from app.core.latency import Spans
from app.core.telemetry import PREPARED
from app.dialogue.agent_context import AgentContext
from app.protocol.events import FirstAudioReady, Happening, ReplyEmpty
from app.protocol.messages import ServerMessage
from app.reply.answer import Request
from app.reply.generation import Reply
from app.reply.player import Player


class Speaker:
    """Makes the replies of one conversation. `dispatch` is told when a reply has its first sound, or is over without one."""

    def __init__(
        self,
        context: AgentContext,
        player: Player,
        send: Callable[[ServerMessage], None],
        dispatch: Callable[[Happening], None],
    ) -> None:
        self._context = context
        self._player = player
        self._send = send
        self._dispatch = dispatch
        self._draft: Reply | None = None

    @property
    def reply(self) -> Reply | None:
        """The committed reply, until it is recorded."""
        return self._player.reply

    def draft(self, request: Request, spans: Spans) -> None:
        """Prepares a reply, of which nobody is told until `commit`."""
        self.drop_draft()
        PREPARED.inc()
        self._draft = self._new(request, spans)

    def drop_draft(self) -> None:
        """Drops the draft: the user goes on."""
        if self._draft is not None:
            self._draft.cancel()
            self._draft = None

    def commit(self, request: Request, spans: Spans) -> None:
        """Makes the draft the reply, as its turn has ended; where there is no draft for this request, starts a reply."""
        draft, self._draft = self._draft, None
        if draft is not None and draft.request != request:
            draft.cancel()
            draft = None
        self.withdraw()
        reply = draft or self._new(request, spans)
        self._player.load(reply)
        reply.commit()

    def _new(self, request: Request, spans: Spans) -> Reply:
        memory = self._context.memory
        memory.generation += 1
        reply = Reply(memory.generation, request, spans, self._context, self._send, self._on_ready)
        reply.start()
        return reply

    def _on_ready(self, reply: Reply) -> None:
        if reply is self.reply:
            event = ReplyEmpty if reply.empty else FirstAudioReady
            self._dispatch(event(generation=reply.generation))

    def withdraw(self) -> None:
        """Gives up draft and reply; what was not released is never heard."""
        self.drop_draft()
        if self.reply is not None:
            self.reply.cancel()
        self._player.unload()

    def stop(self) -> None:
        """Silences the reply, and drops the draft."""
        self.drop_draft()
        self._player.stop()

    def forget(self) -> None:
        """Drops the reply, which has been recorded."""
        self.withdraw()
        self._player.reply = None
