"""What of a model's text is heard, and the tool calls that are written in it: the shapes that servers really send."""

import json
from typing import Any

import pytest

from services.base import Deed, Exchange, Question, ServiceError, Tool
from vendors.openai.delta import delta_of
from vendors.openai.output_filter import Spoken
from vendors.openai.prompt import prompt
from vendors.openai.tool_calls import Calls, written

NAMES = {"set_timer", "current_time"}
TIMER = ("set_timer", {"seconds": 60})


def heard(text: str, size: int, held: bool = True, tools: bool = True) -> tuple[str, list[tuple[str, Any]]]:
    """The words and the calls of `text` when it comes in pieces of `size` characters."""
    spoken, words, calls = Spoken(held, tools), "", Calls()
    for at in range(0, len(text), size):
        words += spoken.feed(text[at : at + size])
    rest = spoken.end()
    words += "" if spoken.bare and calls.write(rest, NAMES) else rest
    for call in spoken.calls:
        calls.write(call, NAMES)
    return words.strip(), [(call.name, json.loads(call.arguments)) for call in calls.made]


WORDS = [
    ("It is a delay.", "It is a delay."),
    ("<think>The user wants.</think>\n\nIt is a delay.", "It is a delay."),
    ("<think>\n\n</think>\n\nIt is.", "It is."),
    ("The user wants a definition. I should\n</think>\n\nIt is.", "It is."),
    ("<thinking>Hm <thinking>deep</thinking> more</thinking>It is.", "It is."),
    ("<think>never closed, out of tokens", ""),
    ("<think/>It is.", "It is."),
    ("<Think>Hm.</THINK>It is.", "It is."),
    ("[THINK]Let me see.[/THINK]It is.", "It is."),
    ("◁think▷Hm.◁/think▷It is.", "It is."),
    ("<|begin_of_thought|>a<|end_of_thought|>It is.", "It is."),
    ("<|channel|>analysis<|message|>User asks.<|end|><|start|>assistant<|channel|>final<|message|>It is.<|return|>", "It is."),
    ("<|channel>thought\nHm.<channel|>It is.", "It is."),
    ("<unused94>thought\nThe user asks.\n<unused95>It is.", "It is."),
    ("The user asks.<unused95>It is.", "It is."),
    ("<unused94>thought\nnever closed", ""),
    ("<|think|>Hm.<|end|><|begin|>assistant<|content|>It is.<|end|>", "It is."),
    ("<|begin|>assistant<|content|>It is.<|end|>", "It is."),
    ("<|start_of_thought|>Hm.<|end_of_thought|><|begin_of_solution|>It is.<|end_of_solution|>", "It is."),
    ("<longcat_think>Hm.</longcat_think>It is.", "It is."),
    ("<inner_monologue>Hm.</inner_monologue>It is.", "It is."),
    ("<chain_of_thought>Hm.</chain_of_thought>It is.", "It is."),
    ("<thought_process>Hm.</thought_process>\n<output>It is.</output>", "It is."),
    ("<scratchpad>Hm.</scratchpad>It is.", "It is."),
    ("<|START_THINKING|>Hm.<|END_THINKING|><|START_RESPONSE|>It is.<|END_RESPONSE|>", "It is."),
    ("Hm. So.\n[BEGIN FINAL RESPONSE]\nIt is.\n[END FINAL RESPONSE]\n<|end|>", "It is."),
    ("Here are my reasoning steps:\nHm.\n[BEGIN FINAL RESPONSE]\nIt is.\n[END FINAL RESPONSE]", "It is."),
    ("Here is my thought process:\nHm.\n\nHere is my response:\nIt is.", "It is."),
    ("<|im_start|>assistant/think\nHm.<|im_end|>\n<|im_start|>assistant\nIt is.<|im_end|>", "It is."),
    ("<think>Hm.<|im_end|>\n<|im_start|>assistant\nIt is.<|im_end|>", "It is."),
    # Opened in the prompt, so that only its end is seen
    ("Hm.<|im_end|>\n<|im_start|>assistant\nIt is.<|im_end|>", "It is."),
    ("Hm. The user asks.<|im_end|><|im_start|>assistant\nIt is.", "It is."),
    ("Hm.<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nIt is.<|eot_id|>", "It is."),
    ("Hm.<end_of_turn>\n<start_of_turn>model\nIt is.<end_of_turn>", "It is."),
    ("Hm.<|end|><|start|>assistant<|message|>It is.<|return|>", "It is."),
    ("Hm.<|think_end|>It is.", "It is."),
    ("Hm.<think_end>It is.", "It is."),
    ("Hm.<end_of_thought>It is.", "It is."),
    ("Hm.</|think|>It is.", "It is."),
    ("Hm.</thought>It is.", "It is."),
    ("Hm.[/THINK]It is.", "It is."),
    ("Hm.◁/think▷It is.", "It is."),
    ("Hm.<|END_THINKING|><|START_RESPONSE|>It is.<|END_RESPONSE|>", "It is."),
    ("Hm.<channel|>It is.", "It is."),
    # An answer that somebody else's turn follows is none of it
    ("It is.<|im_end|>\n<|im_start|>tool\nHm.", "It is."),
    ("It is.<|im_end|>\n<|im_start|>", "It is."),
    ("It is.<|im_end|>\nAnd more of it.", "It is."),
    ("<|im_start|>user\nWhat?<|im_end|>\n<|im_start|>assistant\nIt is.<|im_end|>", "It is."),
    ("analysisThe user asks. I answer.assistantfinalIt is.", "It is."),
    ("analysisThe user asks, and the tokens were too few", ""),
    ("<|channel|>final <|constrain|>text<|message|>It is.<|return|>", "It is."),
    ("Analysis of it takes time.", "Analysis of it takes time."),
    ("analysis is a method.", "analysis is a method."),
    ("Here is my thought: it is.", "Here is my thought: it is."),
    ("Here", "Here"),
    ("The tag <b> is bold, <unused> is not.", "The tag <b> is bold, <unused> is not."),
    ("Some <thinkers> and [thinking] and [BEGIN] it.", "Some <thinkers> and [thinking] and [BEGIN] it."),
    ("It is.<unused9", "It is."),
    ("It is.<|im_end|>", "It is."),
    ("It is.<|im_end|>\n<|im_start|>user\nAnd what else?", "It is."),
    ("It is.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nMore?", "It is."),
    ("<|start_header_id|>assistant<|end_header_id|>\n\nIt is.", "It is."),
    ("<|im_start|>assistant\nIt is.</s>", "It is."),
    ("<s>[INST] [/INST] It is.</s> <s>[INST] More", "It is."),
    ("<start_of_turn>model\nIt is.<end_of_turn>", "It is."),
    ("It is.<｜end▁of▁sentence｜>", "It is."),
    ("It is.<|endoftext|>Human: more", "It is."),
    ("<answer>It is.</answer>", "It is."),
    ("It is.<eos>", "It is."),
    ("It is.<EOT>", "It is."),
    ("[INST]It is.[/INST]", "It is."),
    ("<<SYS>>be kind<</SYS>>It is.", "be kindIt is."),
    ("[BOS]It is.[EOS]", "It is."),
    ("It is.[EOS]More of it.", "It is."),
    ("<|assistant|>It is.<|user|>And?", "It is."),
    ("It is.<|im_end", "It is."),
    ("It is.<|", "It is.<|"),
    ("It is.</s", "It is."),
    ("It is.[/INST", "It is."),
    ("It is.<end_of_tu", "It is."),
    ("It is.<｜end▁of", "It is."),
    ("a <b", "a <b"),
    ("See [the", "See [the"),
    ("3 < 5 and 7 > 2, see [the docs] and a<b.", "3 < 5 and 7 > 2, see [the docs] and a<b."),
    ("Models write `<think>` before thinking.", "Models write `<think>` before thinking."),
    ("[laughs] Hello.", "[laughs] Hello."),
    ("`pip install` does it.", "`pip install` does it."),
    ("Use {braces} for it.", "Use {braces} for it."),
    ('{"answer": "no call"}', '{"answer": "no call"}'),
]
CALLS = [
    '<tool_call>\n{"name": "set_timer", "arguments": {"seconds": 60}}\n</tool_call>',
    '<tool_call>{"name": "set_timer", "arguments": "{\\"seconds\\": 60}"}',
    '[TOOL_CALLS] [{"name": "set_timer", "arguments": {"seconds": 60}}]</s>',
    '[TOOL_CALLS]set_timer[ARGS]{"seconds": 60}',
    '[TOOL_CALLS]set_timer{"seconds": 60}',
    '<|python_tag|>{"name": "set_timer", "parameters": {"seconds": 60}}<|eom_id|>',
    '<|python_tag|>{"type": "function", "name": "set_timer", "parameters": {"seconds": 60}}',
    "<|python_tag|>set_timer.call(seconds=60)",
    '{"name": "set_timer", "parameters": {"seconds": 60}}',
    '{"type": "function", "function": {"name": "set_timer", "arguments": {"seconds": 60}}}',
    '```json\n{"name": "set_timer", "arguments": {"seconds": 60}}\n```',
    '[{"name": "set_timer", "arguments": {"seconds": 60}}]',
    "[set_timer(seconds=60)]",
    "```tool_code\nset_timer(seconds=60)\n```",
    '<function=set_timer>{"seconds": 60}</function>',
    "<tool_call>\n<function=set_timer>\n<parameter=seconds>\n60\n</parameter>\n</function>\n</tool_call>",
    "<tool_call>set_timer\n<arg_key>seconds</arg_key>\n<arg_value>60</arg_value>\n</tool_call>",
    '<minimax:tool_call><invoke name="set_timer"><parameter name="seconds">60</parameter></invoke></minimax:tool_call>',
    '<|tool_call|>[{"name": "set_timer", "arguments": {"seconds": 60}}]',
    '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>set_timer\n```json\n{"seconds": 60}\n```<｜tool▁calls▁end｜>',
    '<|tool_calls_section_begin|><|tool_call_begin|>functions.set_timer:0<|tool_call_argument_begin|>{"seconds": 60}'
    "<|tool_call_end|><|tool_calls_section_end|>",
    '<|channel|>analysis<|message|>Timer.<|end|><|start|>assistant<|channel|>commentary to=functions.set_timer '
    '<|constrain|>json<|message|>{"seconds": 60}<|call|>',
    '<think>Set it.</think>\n<tool_call>{"name": "functions.set_timer", "arguments": {"seconds": 60}}</tool_call>',
]  # fmt: skip


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize(("text", "words"), WORDS)
def test_only_words_are_heard_however_the_text_is_cut(text: str, words: str, size: int) -> None:
    assert heard(text, size) == (words, [])


@pytest.mark.parametrize("held", [True, False])
@pytest.mark.parametrize(("text", "words"), [(text, words) for text, words in WORDS if text.startswith(("<", "[", "◁"))])
def test_thinking_that_opens_itself_is_never_heard_wherever_the_text_is_cut_in_two(text: str, words: str, held: bool) -> None:
    for cut in range(1, len(text)):
        spoken = Spoken(held, tools=False)
        said = spoken.feed(text[:cut]) + spoken.feed(text[cut:]) + spoken.end()
        assert said.strip() == words, (text[:cut], text[cut:])


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("text", CALLS)
def test_calls_written_as_text_are_calls(text: str, size: int) -> None:
    assert heard(text, size) == ("", [TIMER])


def test_words_beside_a_call_are_heard() -> None:
    text = "One moment. " + CALLS[0] + "\n" + CALLS[0].replace("60", "90")
    assert heard(text, 5) == ("One moment.", [TIMER, ("set_timer", {"seconds": 90})])


def test_what_is_no_call_of_a_known_tool_is_neither_run_nor_heard() -> None:
    assert heard('<tool_call>{"name": "launch", "arguments": {}}</tool_call>', 9) == ("", [])
    assert heard("<tool_call>{oops", 9) == ("", [])
    assert list(written("{" * 3000, NAMES)) == []


def test_words_are_not_held_back_where_the_model_is_known_to_mark_its_thinking() -> None:
    spoken = Spoken(held=False, tools=True)
    assert spoken.feed("It is a ") == "It is a "
    assert spoken.feed("delay <th") == "delay "
    assert spoken.feed("ink>hm</think>ok") == "ok"
    late = Spoken(held=False, tools=False)
    assert late.feed("Hm.</think> It is.") == " It is."
    assert late.unopened  # the next answer is held back


CLOSINGS = [
    "</think>",
    "</thinking>",
    "[/THINK]",
    "◁/think▷",
    "<|end_of_thought|>",
    "<channel|>",
    "</reasoning>",
    "<unused95>",
    "</seed:think>",
]
CLOSINGS += ["</longcat_think>", "<|END_THINKING|>", "[BEGIN FINAL RESPONSE]"]


@pytest.mark.parametrize("closing", CLOSINGS)
@pytest.mark.parametrize("before", ["Hm, the user greets me.", "a < b, I think [so]. "])
def test_thoughts_before_an_end_of_thinking_that_is_cut_in_two_are_kept_back(closing: str, before: str) -> None:
    for at in range(1, len(closing)):
        spoken = Spoken(held=False, tools=False)
        words = spoken.feed(before + closing[:at]) + spoken.feed(closing[at:] + "It is.") + spoken.end()
        assert words == "It is.", at


def test_words_before_what_only_looks_like_an_end_of_thinking_are_given_as_soon_as_that_is_known() -> None:
    spoken = Spoken(held=False, tools=False)
    assert spoken.feed("Write it in </") == ""
    assert spoken.feed("b> and") == "Write it in </b> and"
    assert spoken.feed(" 3 <") + spoken.feed(" 4 > 2") == " 3 < 4 > 2"
    assert spoken.feed(" <") + spoken.end() == " <"


def test_held_words_are_released_when_there_is_no_time_to_wait() -> None:
    spoken = Spoken(held=True, tools=True)
    assert spoken.feed("It is ") == ""
    assert spoken.release() == "It is "
    assert spoken.feed("a delay.") == "a delay."


# --- calls in the pieces of a stream ----------------------------------------------------------------------------------


def part(
    index: int | str | None = None, id: str | None = None, name: str | None = None, arguments: Any = None
) -> dict[str, Any]:
    piece: dict[str, Any] = {"function": {"name": name, "arguments": arguments}, "id": id}
    return piece if index is None else piece | {"index": index}


@pytest.mark.parametrize(
    ("pieces", "calls"),
    [
        ([part(0, "a", "set_timer", '{"x": '), part(0, None, None, "1}")], [("a", '{"x": 1}')]),
        ([part(0, "a", "set_timer", '{"x": 1}'), part(0, "b", "set_timer", '{"x": 2}')], [("a", '{"x": 1}'), ("b", '{"x": 2}')]),
        ([part(0, "", "set_timer", "{}"), part(0, "", "set_timer", '{"x": 2}')], [("call00000", "{}"), ("call00001", '{"x": 2}')]),
        ([part(0, "a", "set_timer", {"x": 1})], [("a", '{"x": 1}')]),
        ([part(None, "a", "set_timer", '{"x": 1}'), part(None, "b", "set_timer", "{}")], [("a", '{"x": 1}'), ("b", "{}")]),
        ([part(None, "a", "set_timer", '{"x":'), part(None, None, None, " 1}")], [("a", '{"x": 1}')]),
        ([part(0, "a", "set_timer"), part(0, "a", "set_timer", '{"x":'), part(0, "a", "set_timer", " 1}")], [("a", '{"x": 1}')]),
        ([part(0, "a", "set_timer", ""), part(1, "b", "set_timer", ""), part(0, None, None, "{}"), part(1, None, None, "[]")],
         [("a", "{}"), ("b", "[]")]),
        ([part(0, "a", "set_timer", "{}"), part(0, "a", "set_timer", "{}")], [("a", "{}")]),
        ([part(0, "a", "set_timer", ""), part(0, "b", "", "{}")], [("a", "{}")]),  # a new id with every piece
        ([{"name": "set_timer", "arguments": {"x": 1}}], [("call00000", '{"x": 1}')]),
        # A name and an id of its own in every piece; all of them once more at the end.
        ([part(0, "a", "set_timer", '{"x": '), part(0, "b", "set_timer", "1}")], [("a", '{"x": 1}')]),
        ([part(0, "a", "set_timer", "{}"), part(1, "b", "set_timer", "{}"), part(None, "a", "set_timer", "{}"),
          part(None, "b", "set_timer", "{}")], [("a", "{}"), ("b", "{}")]),
        ([part("0", "a", "set_timer", ""), part("1", "b", "set_timer", "{}"), part("0", None, None, '{"x": 1}')],
         [("a", '{"x": 1}'), ("b", "{}")]),
        ([part(0, "a", " set_timer ", "{}")], [("a", "{}")]),
        ([part(0, "a", "set_timer", None)], [("a", "")]),
    ],
)  # fmt: skip
def test_pieces_of_calls_are_put_together(pieces: list[dict[str, Any]], calls: list[tuple[str, str]]) -> None:
    made = Calls()
    for piece in pieces:
        made.join(piece)
    assert [(call.id, call.arguments) for call in made.made] == calls
    assert {call.name for call in made.made} == {"set_timer"}


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        ('{"x": 1}', '{"x": 1}'),
        ("", "{}"),
        ("null", "{}"),
        ('"{\\"x\\": 1}"', '{"x": 1}'),
        ('{}{"x": 1}', '{"x": 1}'),  # a beginning that is whole, and then the pieces
        ('{"x": 1}{"x": 1}', '{"x": 1}'),
        ('{"x": 1}\n{"x": 1}', '{"x": 1}'),
        ("{}{}", "{}"),
        ('```json\n{"x": 1}\n```', '{"x": 1}'),
        ('{"x": 1}{"x": 2}', '{"x": 1}{"x": 2}'),  # nobody knows which: the model is told
        ('{"x":', '{"x":'),
        ("x=1", "x=1"),
    ],
)
async def test_a_tool_is_given_the_object_that_is_meant(arguments: str, meant: str) -> None:
    ran: list[str] = []

    async def run(given: str) -> str:
        ran.append(given)
        return ""

    calls = Calls()
    calls.join(part(0, "a", "default_api:set_timer", arguments))
    tool = Tool("set_timer", "Sets a timer.", {"type": "object"}, run)
    await calls.use(Question("And?", None, [], (), "", (tool,)))  # type: ignore[arg-type]
    assert ran == [meant]


@pytest.mark.parametrize("piece", [5, "set_timer", ["x"], None, {"function": "set_timer"}, {"function": [1]}])
def test_a_call_of_another_shape_is_an_error_of_the_service(piece: Any) -> None:
    with pytest.raises(ServiceError, match="llm"):
        Calls().join(piece)


def test_calls_without_an_end_are_stopped() -> None:
    calls = Calls()
    with pytest.raises(ServiceError, match="more than"):
        for number in range(100):
            calls.join(part(number, str(number), "set_timer", "{}"))


# --- the shapes of a choice -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("choice", "text"),
    [
        ({"delta": {"content": "It is."}}, "It is."),
        ({"delta": {"content": None}}, ""),
        ({"delta": None}, ""),
        ({"delta": {"content": [{"type": "text", "text": "It "}, {"type": "text", "text": "is."}]}}, "It is."),
        ({"delta": {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}, "It is."]}}, "It is."),
        ({"delta": {"content": {"type": "text", "text": "It is."}}}, "It is."),
        ({"delta": {"content": None, "refusal": "I can't."}}, "I can't."),
        ({"message": {"role": "assistant", "content": "It is."}, "finish_reason": "stop"}, "It is."),
        ({"text": "It is."}, "It is."),
        ({"delta": {"content": "It\x00 is\x1b[31m.\ud800"}}, "It is[31m."),
    ],
)
def test_text_comes_in_many_shapes(choice: dict[str, Any], text: str) -> None:
    assert delta_of(choice, False).text == text


def test_the_whole_answer_behind_its_pieces_is_not_said_again() -> None:
    assert delta_of({"delta": {}, "message": {"content": "It is."}, "finish_reason": "stop"}, True).text == ""


@pytest.mark.parametrize(
    "choice",
    [{"delta": "text"}, {"delta": [1]}, {"delta": {"content": 5}}, {"delta": {"content": True}},
     {"delta": {"content": float("nan")}}, {"delta": {"tool_calls": {"a": 1}}},
     {"delta": {"tool_calls": "x"}}, {"delta": {"content": [[1]], "refusal": 3}},
     {"finish_reason": "error"}, {"delta": {}, "finish_reason": "stop", "error": {"code": 502}}],
)  # fmt: skip
def test_a_choice_of_another_shape_is_an_error_of_the_service(choice: dict[str, Any]) -> None:
    with pytest.raises(ServiceError, match="llm"):
        delta_of(choice, False)


# --- the prompt -------------------------------------------------------------------------------------------------------


async def _no(arguments: str) -> str:
    return ""


TOOL = Tool("set_timer", "Sets a timer.", {"type": "object"}, _no)
DEED = Deed("set_timer", '{"seconds":60}', "I set a timer for 1 minute.")


def asked(*history: Exchange, tools: bool = True, done: tuple[Deed, ...] = ()) -> Question:
    return Question("And now?", None, [], history, "Be brief.", (TOOL,) if tools else (), done)  # type: ignore[arg-type]


def test_what_a_tool_did_is_in_the_prompt_though_nobody_heard_of_it() -> None:
    messages = prompt(asked(Exchange("Set a timer.", "", (DEED,)), Exchange("Thanks.", "You're welcome.")))
    assert [m["role"] for m in messages] == ["system", "user", "assistant", "tool", "assistant", "user", "assistant", "user"]
    assert messages[2]["tool_calls"][0]["function"] == {"name": "set_timer", "arguments": '{"seconds":60}'}
    assert messages[3]["tool_call_id"] == messages[2]["tool_calls"][0]["id"]
    assert messages[3]["content"] == "I set a timer for 1 minute."
    half = prompt(asked(Exchange("Set a timer.", "I set a", (DEED,))))
    assert [m["role"] for m in half] == ["system", "user", "assistant", "tool", "assistant", "user"]
    assert half[4]["content"] == "I set a"


def test_what_was_done_for_a_turn_that_went_on_comes_behind_it() -> None:
    messages = prompt(asked(done=(DEED, DEED)))
    assert [m["role"] for m in messages] == ["system", "user", "assistant", "tool", "tool"]
    assert len({call["id"] for call in messages[2]["tool_calls"]}) == 2


def test_ids_of_calls_are_nine_letters_and_digits_and_no_two_are_alike() -> None:
    twice = Exchange("Two timers.", "Done.", (DEED, DEED))
    ids = [call["id"] for m in prompt(asked(twice, twice, done=(DEED, DEED))) for call in m.get("tool_calls", ())]
    rounds = [Calls(before) for before in (0, 2)]
    for calls in rounds:
        calls.join(part(0, None, "set_timer", "{}"))
        calls.join(part(0, None, "set_timer", '{"x": 1}'))
    ids += [call.id for calls in rounds for call in calls.made]
    assert len(set(ids)) == len(ids) == 10
    assert all(len(id) == 9 and id.isalnum() and id.isascii() for id in ids)


@pytest.mark.parametrize("reason", [
    "error", "ERROR", "content_filter", "content_filter: SAFETY", "SAFETY", "RECITATION", "BLOCKLIST", "sensitive", "abort",
    "function_call_filter: MALFORMED_FUNCTION_CALL", "insufficient_system_resource", "network_error", "cancelled", "refusal",
    "ERROR_TOXIC", "guardrail_intervened", "content_filtered", "timeout", "overloaded",
])  # fmt: skip
def test_a_reason_that_is_no_end_of_an_answer_is_an_error_of_the_service(reason: str) -> None:
    with pytest.raises(ServiceError, match="broke the answer off"):
        delta_of({"delta": {"content": "It is"}, "finish_reason": reason}, False)


@pytest.mark.parametrize("reason", [
    "stop", "length", "tool_calls", "eos", "eos_token", "end_turn", "max_tokens", "stop_sequence", "STOP", "MAX_TOKENS", "COMPLETE",
    "model_length", "tool_use", "function_call",
])  # fmt: skip
def test_all_other_reasons_are_the_end_of_one(reason: str) -> None:
    assert delta_of({"delta": {"content": "It is"}, "finish_reason": reason}, False).last


@pytest.mark.parametrize("reason", [None, "", "null"])
def test_no_reason_is_no_end(reason: str | None) -> None:
    assert not delta_of({"delta": {"content": "It is"}, "finish_reason": reason}, False).last


def test_a_server_without_tools_is_told_in_words() -> None:
    messages = prompt(asked(Exchange("Set a timer.", "", (DEED,)), tools=False))
    assert [m["role"] for m in messages] == ["system", "user", "assistant", "user"]
    assert "I set a timer for 1 minute." in messages[1]["content"]


def test_a_server_without_a_role_for_instructions_gets_them_with_the_first_turn() -> None:
    messages = prompt(asked(Exchange("Hello.", "Hi.")), system=False)
    assert [m["role"] for m in messages] == ["user", "assistant", "user"]
    assert messages[0]["content"] == "Be brief.\n\nHello."
