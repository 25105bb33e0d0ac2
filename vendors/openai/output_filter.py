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

# Thinking stands between marks named for it, each model's in brackets of its own: <think> of DeepSeek R1, Qwen 3 and most others,
# <seed:think>, <longcat_think>, <inner_monologue>, [THINK] of Magistral, ◁think▷ of Kimi, <|begin_of_thought|> of Sky-T1,
# <|START_THINKING|> of Cohere, <|think|> of Solar, <|channel>thought of Gemma 4. MedGemma has two reserved tokens for it, Apriel
# writes its reasoning up to [BEGIN FINAL RESPONSE], and gpt-oss has channels.
_NAMES = "think|thinking|thoughts?|reasoning|reflection|scratch_?pad|monologue|analysis|rationale"
_THINKING = rf"(?:[a-z_]{{1,16}}[:_])?(?:{_NAMES})(?:_(?:process|steps?|content))?"
_THINKS = (
    rf"<(?!end_)(?:{_THINKING})\s*>|\[THINK\]|◁think▷|<\|(?:(?:begin|start)_(?:of_)?)?(?:{_NAMES})\|>|<\|channel>(?:thought)?"
    "|<unused94>(?:thought)?"
)
_THOUGHT = (
    rf"</(?:{_THINKING})\s*>|\[/THINK\]|◁/think▷|<\|(?:/|end_(?:of_)?)(?:{_NAMES})\|>|<channel\|>|<unused95>"
    rf"|</\|(?:{_NAMES})\|>|<\|(?:{_NAMES})_end\|>|<(?:(?:{_NAMES})_end|end_of_(?:{_NAMES}))>"
    r"|\[BEGIN FINAL RESPONSE\]"
)
# How thinking begins, and ends, without a mark: of Granite 3.2, and of gpt-oss where a server has dropped its control tokens and
# left their names ("analysisThe user asks ... assistantfinalIt is ...").
_UNMARKED = ("here is my thought process:", "here are my reasoning steps:", "analysis")
_UNMARKED_END = r"Here is my response:|assistantfinal"
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
    r"|<｜end▁of▁sentence｜>|<turn\|>|\[END FINAL RESPONSE\]"
)
_ROLES = r"<\|(?:im_start|start_header_id|start|begin)\|>|<start_of_turn>|<\|turn>"  # a role follows, and one of these:
_ROLE_ENDS = r"<\|(?:end_header_id|message)\|>|\n|(?=<\|(?:channel|think|content)\|>)"
_NO_WORDS = re.compile(r"think|analysis|user|human|system|tool|developer")  # in a role: "assistant/think" of HyperCLOVA X
_ANSWERS = re.compile(r"assistant|model|bot|ai")  # as a role
_CONTROL = (
    r"<\|[^|<>\s]{1,40}\|>|<｜[^｜<>]{1,40}｜>|\[/?INST\]|<</?SYS>>|<(?:unk|pad|bos|mask|sep|cls|s)>|\[(?:BOS|PAD|SEP|CLS|UNK)\]"
    r"|<unused\d{1,4}>|</?(?:answer|response|final|output)>"
)
# How an answer begins that is a call without any mark: Llama's JSON, a list of it, Python, a block of code; what may become one.
_BARE = re.compile(r"(?:\{|\[\s*\{|\[\s*\w+\(|```).*", re.DOTALL)
_MAYBE_BARE = re.compile(r"\[\s*\w*|`{1,2}")
# How the end of thinking may begin: the words before it in the same piece are kept back with it.
_CLOSINGS = "</ [/ [b ◁/ <|e <|/ <c <u".split()
# A mark that was cut off with the answer is none of its words.
_CUT = ["[begin final response]", "[end final response]"]
_CUT += [f"</{name}>" for name in "think thinking thought thoughts reasoning reflection seed:think mm:think".split()]
_CUT += (
    "[/think] ◁/think▷ <|end_of_thought|> <|end_thinking|> <channel|> <unused94> <unused95> "
    "</s> <|im_end|> <|im_start|> <|eot_id|> <|eom_id|> <|endoftext|> <|end_of_text|> <|end|> <|return|> <|call|> <|user|> "
    "<|assistant|> <|start_header_id|> <end_of_turn> <start_of_turn> <eos> <eot> [inst] [/inst] <<sys>> <</sys>> <think> "
    "[think] [tool_calls] <｜end▁of▁sentence｜> <｜tool▁calls▁begin｜>"
).split()
_LEAST_CUT = 3  # characters: "<b" may be words
_EMPTY = rf"<(?:{_THINKING})\s*/>"

Mode = Literal["words", "thinking", "unmarked", "call", "role", "channel"]


def _marks(**patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(f"(?P<{name}>{pattern})" for name, pattern in patterns.items()), re.IGNORECASE)


_UNTIL: Final[dict[Mode, re.Pattern[str]]] = {
    "words": _marks(
        thinks=_THINKS, thought=_THOUGHT, calls=_CALLS, called=_CALLED, channel=r"<\|channel\|>", roles=_ROLES, ends=_ENDS,
        control=f"{_EMPTY}|{_CONTROL}",
    ),
    "thinking": _marks(thinks=_THINKS, thought=rf"{_THOUGHT}|<\|content\|>", channel=r"<\|channel\|>", roles=_ROLES),
    "unmarked": _marks(thought=f"{_THOUGHT}|{_UNMARKED_END}"),
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
        self.short = False  # ... and that its tokens have not been enough
        self.over = False  # the turn has ended, whatever else is written
        self.unopened = False  # the end of thinking has come without its beginning
        self.bare = False  # the words may be a call without any mark
        self._ended = False  # words that are kept back have come to an end, of a turn or of thinking: a role may follow
        self._tools = tools
        self._held = held
        self._kept = ""  # words that may be thinking
        self._rest = ""  # what may be the beginning of a mark
        self._call = ""
        self._role = ""
        self._begun = False  # it is known whether the text begins with thinking that has no mark
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
        if not self._begun and not self._begin():
            return ""
        words = ""
        while not self.over and (match := self._next()) is not None:
            words += self._take(match.start())
            mark = self._rest[: match.end() - match.start()]
            self._advance(len(mark))
            if (match.lastgroup == "thought" and self._mode == "words") or self._answers(match.lastgroup):
                words, self._kept, self._said = "", "", self._given
            words += self._meet(match.lastgroup or "", mark)
            self._marks -= 1
            self.over = self.over or not self._marks
        return self._give(words + self._take(len(self._rest) if self.over else self._certain()))

    def _answers(self, kind: str | None) -> bool:
        """Whether the role that is read begins the answer behind what has ended, which then was thinking: the template of
        HyperCLOVA X opens that as a turn of its own, in the prompt."""
        return kind == "role_ends" and self._ended and _ANSWERS.fullmatch(self._role.strip().lower()) is not None

    def _begin(self) -> bool:
        """Looks at the first words: whether enough of them are there to tell if they are thinking."""
        begins = self._rest.lstrip()
        said = begins.lower()
        if any(one.startswith(said) for one in _UNMARKED):
            return False
        self._begun = True
        opening = next((one for one in _UNMARKED if said.startswith(one)), "")
        if opening.endswith(":") or (opening and begins.startswith(opening) and begins[len(opening)].isupper()):
            self._mode, self._depth, self._held = "unmarked", 1, False
        return True

    def release(self) -> str:
        """The words are no thinking: those that were kept back for that."""
        self._held = False
        return self._give("")

    def end(self) -> str:
        """No more text comes: the words that are left."""
        self._begun = True
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
        if self._mode == "unmarked":
            return max(0, len(self._rest) - LONGEST_MARK)
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
        elif self._mode == "role":
            self._role = (self._role + taken)[:LONGEST_MARK]
        if self._mode == "words" and self._ended:
            self.over = self.over or bool(taken.strip())  # no role has followed
            taken = ""
        words = taken if self._mode == "words" and not self.over else ""
        self._said = self._said or bool(words.strip())
        return words

    def _advance(self, size: int) -> None:
        if size:
            self._before, self._rest = self._rest[size - 1], self._rest[size:]

    def _give(self, words: str) -> str:
        kept = self._kept + words
        self.bare = self.bare or (self._tools and not self._given and _BARE.fullmatch(kept.lstrip()[:LONGEST_MARK]) is not None)
        begins = self._rest[:3].lower()
        ends = self._mode == "words" and (_begins(begins, _CLOSINGS) or begins.startswith(tuple(_CLOSINGS)))
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
                self._mode, self._role, self.over = "role", "", self._said and not self._ended
            case "channel":
                self._mode, self._call = "channel", ""
            case "ends" if self._mode == "call":
                self._finish_call()
                self.over = True
            case "ends" if self._held and self._said and not self.calls:
                self._ended = True
            case "ends":
                self.over = self._said or bool(self.calls)
            case "role_ends" if self._ended and not self._answers(kind):
                self.over = True
            case "role_ends":
                self.unopened, self._held, self._ended = self.unopened or self._ended, self._held and not self._ended, False
                self._mode, self._depth = "thinking" if _NO_WORDS.search(self._role.lower()) else "words", 1
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
