"""Turns that wait: until the agent has fallen silent, and what is typed also until the spoken turn beside it is over."""

from app.conversation.context import waiting_texts
from app.conversation.idle import IdleWatcher
from app.protocol.events import Happening, TextDue
from app.protocol.messages import Text

# A typed text waits so long for a spoken turn beside it: longer than a recogniser takes for the words of a turn, where no sound
# arrives any more or the recogniser hangs.
PATIENCE_S = 8.0


class WaitingTurns(IdleWatcher):
    """Begins the next turn that waits as soon as it may begin."""

    def follow(self, event: Happening) -> None:
        """Looks whether a turn that waits may begin now. A typed one whose spoken turn proved to be none is one of them."""
        context = self._context
        if context.state != "LISTENING" or context.holds("user_may_be_speaking"):
            if context.state != "LISTENING" or not context.text_waits:
                self.stop()
            elif self._handle is None:
                self._wake_in(PATIENCE_S)
            return
        self.stop()
        if context.prefix:
            context.pending.appendleft(Text(text=context.prefix))
            context.prefix = ""
        if context.pending:
            typed = waiting_texts(context.pending)  # several become one turn
            context.dispatch(Text(text=typed) if typed else context.pending.popleft())

    def _wake(self) -> None:
        self._handle = None
        if self._context.text_waits:
            self._context.dispatch(TextDue())
