"""What language models write between their words and nobody is to hear: thinking, control tokens, and tool calls. Servers that know
the model take them out; many do not (llama.cpp without a template, vLLM without parsers, routers)."""

import re
from collections.abc import Sequence
from typing import Final, Literal

from vendors.openai.tool_calls import fit

LONGEST = 8000  # characters of an answer: a server that does not count tokens is no longer listened to
LONGEST_MARK = 64  # characters
MOST_MARKS = 1000  # of one answer; whoever writes more says nothing
PIECE = 4096  # characters that are looked at in one go: what is left of them is copied at each mark

# The marks of DeepSeek R1, Qwen 3, Magistral, Kimi, Cohere, Gemma 4, gpt-oss (its channels), and their descendants.
_THINKING = r"think|thinking|thought|thoughts|reasoning|reflection|seed:think|mm:think"
_THINKS = rf"<(?:{_THINKING})\s*>|\[THINK\]|◁think▷|<\|(?:begin_of_thought|START_THINKING)\|>|<\|channel>(?:thought)?"
_THOUGHT = rf"</(?:{_THINKING})\s*>|\[/THINK\]|◁/think▷|<\|(?:end_of_thought|END_THINKING)\|>|<channel\|>"
# The marks of tool calls: Hermes and Qwen, Mistral, Llama, Granite, Gemma 4, Kimi, DeepSeek, Cohere, MiniMax.
_CALLS = (
    r"<(?:minimax:)?tool_calls?>|<function_calls?>|<function=[\w.-]+>|\[TOOL_CALLS\]|<\|python_tag\|>|<\|tool_call\|?>"
    r"|<\|tool_calls_section_begin\|>|<｜tool▁calls▁begin｜>|<\|START_ACTION\|>|<tool_code>"
)
_CALLED = (
    r"</(?:minimax:)?tool_calls?>|</function_calls?>|</function>(?!\s*</tool_call>)|\[/TOOL_CALLS\]|<\|/tool_call\|>|<tool_call\|>"
    r"|<\|tool_calls_section_end\|>|<｜tool▁calls▁end｜>|<\|END_ACTION\|>|</tool_code>"
)
_ENDS = (  # of the turn: what follows is the model talking to itself
    r"<\|(?:im_end|eot_id|eom_id|endoftext|end_of_text|end|return|call|END_OF_TURN_TOKEN|user)\|>|</s>|<end_of_turn>|<eo[st]>|\[EO[ST]\]"
    r"|<｜end▁of▁sentence｜>|<turn\|>"
)
_ROLES = r"<\|(?:im_start|start_header_id|start)\|>|<start_of_turn>|<\|turn>"  # a role follows, and one of these:
_ROLE_ENDS = r"<\|(?:end_header_id|message)\|>|\n|(?=<\|channel\|>)"
_CONTROL = (
    r"<\|[^|<>\s]{1,40}\|>|<｜[^｜<>]{1,40}｜>|\[/?INST\]|<</?SYS>>|<(?:unk|pad|bos|mask|sep|cls|s)>|\[(?:BOS|PAD|SEP|CLS|UNK)\]"
    r"|</?(?:answer|response|final)>"
)
# How an answer begins that is a call without any mark: Llama's JSON, a list of it, Python, a block of code; what may become one.
_BARE = re.compile(r"(?:\{|\[\s*\{|\[\s*\w+\(|```).*", re.DOTALL)
_MAYBE_BARE = re.compile(r"\[\s*\w*|`{1,2}")
# What these begin with may be the end of thinking: the words before it in the same piece are kept back with it.
_CLOSINGS = [f"</{name}>" for name in _THINKING.split("|")]
_CLOSINGS += "[/think] ◁/think▷ <|end_of_thought|> <|end_thinking|> <channel|>".split()
# A mark that was cut off with the answer is none of its words.
_CUT = (
    _CLOSINGS
    + (
        "</s> <|im_end|> <|im_start|> <|eot_id|> <|eom_id|> <|endoftext|> <|end_of_text|> <|end|> <|return|> <|call|> <|user|> "
        "<|assistant|> <|start_header_id|> <end_of_turn> <start_of_turn> <eos> <eot> [inst] [/inst] <<sys>> <</sys>> <think> "
        "[think] [tool_calls] <｜end▁of▁sentence｜> <｜tool▁calls▁begin｜>"
    ).split()
)
_LEAST_CUT = 3  # characters: "<b" may be words
_EMPTY = rf"<(?:{_THINKING})\s*/>"

Mode = Literal["words", "thinking", "call", "role", "channel"]


def _marks(**patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(f"(?P<{name}>{pattern})" for name, pattern in patterns.items()), re.IGNORECASE)


_UNTIL: Final[dict[Mode, re.Pattern[str]]] = {
    "words": _marks(
        thinks=_THINKS, thought=_THOUGHT, calls=_CALLS, called=_CALLED, channel=r"<\|channel\|>", roles=_ROLES, ends=_ENDS,
        control=f"{_EMPTY}|{_CONTROL}",
    ),
    "thinking": _marks(thinks=_THINKS, thought=_THOUGHT, channel=r"<\|channel\|>", roles=r"<\|start\|>"),
    "call": _marks(called=_CALLED, ends=_ENDS),
    "role": _marks(role_ends=_ROLE_ENDS),
    "channel": _marks(message=r"<\|message\|>"),
}  # fmt: skip


class Spoken:
    """The words in the text of a model that comes in pieces. `held`: they are kept back until it is known that they are no
    thinking: models whose template opens the thinking in the prompt write only its end."""

    def __init__(self, held: bool, tools: bool) -> None:
        """`tools`: the model knows some, and an answer that begins like a call is kept back as a whole."""
        self.calls: list[str] = []  # texts of tool calls
        self.finished = False  # the server says that this was all
        self.over = False  # the turn has ended, whatever else is written
        self.unopened = False  # the end of thinking has come without its beginning
        self.bare = False  # the words may be a call without any mark
        self._tools = tools
        self._held = held
        self._kept = ""  # words that may be thinking
        self._rest = ""  # what may be the beginning of a mark
        self._call = ""
        self._said = False
        self._given = False
        self._room = LONGEST
        self._marks = MOST_MARKS
        self._mode: Mode = "words"
        self._depth = 0
        self._before = ""  # the last character before `_rest`

    def feed(self, text: str) -> str:
        """The words that `text` adds. Raises ServiceError for a call that is too long."""
        return "".join(self._feed(text[at : at + PIECE]) for at in range(0, len(text), PIECE) if not self.over)

    def _feed(self, text: str) -> str:
        self._rest += text
        words = ""
        while not self.over and (match := self._next()) is not None:
            words += self._take(match.start())
            mark = self._rest[: match.end() - match.start()]
            self._advance(len(mark))
            if match.lastgroup == "thought" and self._mode == "words":
                words, self._kept, self._said = "", "", self._given
            words += self._meet(match.lastgroup or "", mark)
            self._marks -= 1
            self.over = self.over or not self._marks
        return self._give(words + self._take(len(self._rest) if self.over else self._certain()))

    def release(self) -> str:
        """The words are no thinking: those that were kept back for that."""
        self._held = False
        return self._give("")

    def end(self) -> str:
        """No more text comes: the words that are left."""
        if self._mode == "words" and len(self._rest) >= _LEAST_CUT and _begins(self._rest, _CUT):
            self._rest = ""
        words = self._give("" if self.over else self._take(len(self._rest)))
        if self._mode == "call":
            self._finish_call()
        kept, self._kept = self._kept, ""
        return words + kept

    def _next(self) -> re.Match[str] | None:
        for match in _UNTIL[self._mode].finditer(self._rest):
            before = self._rest[match.start() - 1] if match.start() else self._before
            if before != "`" or self._mode != "words":  # in code it is spoken of
                return match
        return None

    def _certain(self) -> int:
        """How much of the rest is no beginning of a mark."""
        start = max(self._rest.rfind(first) for first in "<[◁")
        start -= self._rest[:start].endswith("<")  # "<<SYS>>"
        end = ">>" if self._rest[start : start + 2] == "<<" else r"[>\]▷]"
        if start < 0 or len(self._rest) - start > LONGEST_MARK or re.search(end, self._rest[start:]):
            return len(self._rest)
        return start

    def _take(self, size: int) -> str:
        """The next `size` characters, if they are words."""
        taken = self._rest[:size]
        self._advance(size)
        if self._mode in ("call", "channel"):
            self._call = fit(self._call + taken)
        words = taken if self._mode == "words" and not self.over else ""
        self._said = self._said or bool(words.strip())
        return words

    def _advance(self, size: int) -> None:
        if size:
            self._before, self._rest = self._rest[size - 1], self._rest[size:]

    def _give(self, words: str) -> str:
        kept = self._kept + words
        self.bare = self.bare or (self._tools and not self._given and _BARE.fullmatch(kept.lstrip()[:LONGEST_MARK]) is not None)
        ends = self._mode == "words" and _begins(self._rest, _CLOSINGS)
        if self._held or self.bare or ends or (self._tools and not self._given and _MAYBE_BARE.fullmatch(kept.lstrip())):
            self._kept, kept = kept, ""
        else:
            self._kept = ""
        self._given = self._given or bool(kept.strip())
        self._room -= len(words)
        self.over = self.over or self._room < 0
        return kept

    def _meet(self, kind: str, mark: str) -> str:
        """What a mark changes; words that need no longer be kept back."""
        match kind:
            case "thinks":
                self._depth = self._depth + 1 if self._mode == "thinking" else 1
                self._mode = "thinking"
                return self.release()  # it opens its thinking itself
            case "thought":
                self._depth -= 1
                self.unopened = self.unopened or self._mode == "words"
                self._mode = "thinking" if self._mode == "thinking" and self._depth > 0 else "words"
                self._held = False
            case "calls":
                self._mode, self._call = "call", mark if mark.startswith("<function=") else ""
            case "called" if self._mode == "call":
                self._finish_call()
            case "roles":
                self._mode, self.over = "role", self._said
            case "channel":
                self._mode, self._call = "channel", ""
            case "ends" if self._mode == "call":
                self._finish_call()
                self.over = True
            case "ends":
                self.over = self._said or bool(self.calls)
            case "role_ends":
                self._mode = "words"
            case "message":  # "final", "analysis", or "commentary to=functions.set_timer"
                self._mode = "words" if "final" in self._call else "call" if "to=" in self._call else "thinking"
                self._depth = 1
        return ""

    def _finish_call(self) -> None:
        self.calls.append(self._call)
        self._mode, self._call = "words", ""


def _begins(text: str, marks: Sequence[str]) -> bool:
    """Whether `text` is the beginning of one of `marks`."""
    return bool(text) and any(mark.startswith(text.lower()) for mark in marks)
