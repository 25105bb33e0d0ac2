"""The real models on the built-in knowledge: what is found, answered, refused and understood."""

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from app.settings import Settings
from documents.readers import read_folder
from documents.sections import Section
from languages.en import LANGUAGE as ENGLISH
from services.base import Exchange, Intent, Question, ServiceUnavailable
from services.embedding import MODEL, Embedder, plain
from services.intent.classifier import LocalIntent, read_examples
from services.llm.extractive import GroundedAnswerer
from services.making.quantisation import in_whole_numbers
from services.onnx_model import onnx_session
from services.retrieval.answerability import AnswerabilityModel
from services.retrieval.folder import DEFAULT_FOLDER, LocalRetriever
from services.retrieval.reader import PassageReader
from services.weights import fetch
from services.workers import Workers
from tests.bench.intents import rows
from tests.bench.knowledge import QUESTIONS


class Thinking:
    """Embedder, classifier, retriever and answerer as the app joins them."""

    def __init__(self, cache: Path) -> None:
        self.workers = Workers()
        self.embedder = Embedder(Settings().weights_dir, self.workers)
        self.intent = LocalIntent(self.embedder, self.workers, cache, ENGLISH)
        self.retriever = LocalRetriever(self.embedder, self.workers, cache, ENGLISH)
        self.history: list[Exchange] = []

    async def warm(self) -> None:
        await asyncio.gather(self.intent.warm(), self.retriever.warm())

    async def ask(self, text: str) -> str:
        intent, passages = await asyncio.gather(self.intent.classify(text), self.retriever.search(text, history=self.history))
        pieces = GroundedAnswerer(ENGLISH).answer(Question(text, intent, passages, self.history))
        heard = "".join([piece async for piece in pieces])
        self.history.append(Exchange(text, heard))
        return heard


@pytest.fixture(scope="module")
def warmed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Thinking]:
    made = Thinking(tmp_path_factory.mktemp("cache"))
    asyncio.run(made.warm())
    yield made


@pytest.fixture(scope="module")
def reader(warmed: Thinking) -> PassageReader:
    made = PassageReader(Settings().weights_dir, warmed.workers)
    asyncio.run(made.warm())
    return made


@pytest.fixture
def thinking(warmed: Thinking) -> Thinking:
    warmed.history.clear()
    return warmed


@pytest.mark.parametrize(
    ("question", "holds"),
    [
        ("What is a jitter buffer?", "uneven times"),
        ("Does my voice go to some company?", "no sound or text is sent"),
        ("How do I get it to run?", "app dot py"),
        ("Will you stop if I interrupt you?", "lowers its voice"),
        ("Can it run on a hugging face space", "Gradio Space"),
        ("How many of us can talk with it in parallel?", "eight conversations"),
    ],
)
async def test_questions_are_answered_from_the_knowledge(thinking: Thinking, question: str, holds: str) -> None:
    assert holds in await thinking.ask(question)


@pytest.mark.parametrize(
    "question",
    ["How tall is the Eiffel tower?", "I'd like a flat white please.", "Who was the first man on the moon?", "Play some jazz."],
)
async def test_what_is_not_known_is_not_answered(thinking: Thinking, question: str) -> None:
    assert await thinking.ask(question) == ""


async def test_follow_ups_go_on_where_the_answer_ended(thinking: Thinking) -> None:
    first = await thinking.ask("What is a jitter buffer?")
    more = await thinking.ask("Tell me more.")
    assert "Chrome" in more
    assert more not in first
    assert "public address" in await thinking.ask("And what about a STUN server?")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Yes.", "yes"),
        ("No, thank you.", "no"),
        ("Go on.", "go_on"),
        ("Okay, stop please.", "stop"),
        ("Could you say that once more?", "repeat"),
        ("Hi!", "greeting"),
        ("All right, bye then.", "goodbye"),
        ("Please talk a bit slower.", "change_speed"),
        ("A little louder, please.", "change_volume"),
        ("What does full duplex mean?", "question"),
        ("Why did you stop talking?", "question"),
        ("Order two pizzas.", "out_of_scope"),
    ],
)
async def test_intents(thinking: Thinking, text: str, name: str) -> None:
    assert (await thinking.intent.classify(text)).name == name


async def test_a_text_asked_for_twice_at_once_is_embedded_once(thinking: Thinking, monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[object] = []
    run = thinking.workers.run

    async def counted(*args: object) -> object:
        runs.append(args)
        return await run(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(thinking.workers, "run", counted)
    await asyncio.gather(thinking.embedder.embed("What is Opus?"), thinking.embedder.embed("what is opus"))
    assert len(runs) == 1


OFFICE = (
    "The office",
    ["The office was built in 1974 by Maria Lang.", "It has forty rooms on five floors.", "Dogs are allowed on Fridays."],
)


@pytest.mark.parametrize(
    ("question", "holds"),
    [
        ("Who built the office?", True),
        ("When was the office built?", True),
        ("How many rooms are there?", True),
        ("On which day may I bring my dog?", True),
        ("How tall is the office?", False),
        ("Who cleans the office?", False),
        ("How many cars can be parked there?", False),
        ("What does a room cost?", False),
    ],
)
async def test_a_question_and_a_passage_are_read_together(reader: PassageReader, question: str, holds: bool) -> None:
    assert (reader.read(question, *OFFICE) > 0) is holds


async def test_of_a_long_passage_every_stretch_is_read(reader: PassageReader) -> None:
    heading, sentences = OFFICE
    other = [f"In the year {1800 + at} nothing happened in the town that anybody wrote down in a book." for at in range(40)]
    assert (
        reader.read("Who built the office?", heading, [*other, *sentences, *other])
        > 0
        > reader.read("Who built it?", heading, other)
    )


def test_vectors_of_whole_numbers_point_where_the_others_do() -> None:
    path = fetch(MODEL, Settings().weights_dir)
    tokenizer = Tokenizer.from_file(str(fetch("minilm/tokenizer.json", Settings().weights_dir)))
    tokenizer.no_padding()
    exact, whole = onnx_session(path), onnx_session(in_whole_numbers(path))
    cosines = []
    for row in rows(QUESTIONS)[:40]:
        ids = np.array([tokenizer.encode(plain(row["text"])).ids])
        inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        first, second = (session.run(["last_hidden_state"], inputs)[0][0].mean(axis=0) for session in (exact, whole))
        cosines.append(float(first @ second / np.linalg.norm(first) / np.linalg.norm(second)))
    assert np.mean(cosines) >= 0.985 and min(cosines) >= 0.95, cosines


def test_the_recogniser_is_told_the_names(thinking: Thinking) -> None:
    expected = thinking.retriever.vocabulary().split(", ")
    assert {"Parley", "WebRTC", "Redis", "VAD"} <= set(expected)
    assert len(expected) <= 32
    assert "the" not in expected


async def test_only_new_text_is_embedded_at_the_next_start(thinking: Thinking, tmp_path: Path) -> None:
    embedded: list[str] = []

    class Watched(Embedder):
        async def read_all(self, texts, keep, progress=lambda done: None):  # type: ignore[no-untyped-def]
            embedded.extend(texts)
            return await super().read_all(texts, keep, progress)

    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "tea.md").write_text("# Tea\n\nTea is made with hot water.\n")
    watched = Watched(Settings().weights_dir, thinking.workers)

    async def found(question: str) -> str:
        retriever = LocalRetriever(watched, thinking.workers, tmp_path / "cache", ENGLISH, folder)
        await retriever.warm()
        return (await retriever.search(question))[0].id

    assert await found("how do I make tea") == "tea#tea"
    embedded.clear()
    assert await found("how do I make tea") == "tea#tea"
    assert embedded == []
    (folder / "coffee.md").write_text("# Coffee\n\nCoffee is made from beans.\n")
    assert await found("what is coffee made of") == "coffee#coffee"
    assert embedded
    assert all("offee" in text for text in embedded)


async def test_what_was_kept_for_another_judge_is_embedded_again(
    thinking: Thinking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "pool.md").write_text(POOL)
    judge = AnswerabilityModel.load(ENGLISH)
    other = replace(judge, projection=judge.projection[:, ::-1].copy())
    monkeypatch.setattr("services.retrieval.folder.AnswerabilityModel.load", lambda language: other)
    await (await reading(thinking, folder, tmp_path / "cache")).close()
    monkeypatch.setattr("services.retrieval.folder.AnswerabilityModel.load", lambda language: judge)
    retriever = await reading(thinking, folder, tmp_path / "cache")
    assert "six pounds" in await say(retriever, "How much is a ticket for the pool?")
    await retriever.close()


async def test_a_changed_folder_is_read_again_while_the_search_goes_on(
    thinking: Thinking, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "tea.md").write_text("# Tea\n\nTea is made with hot water.\n")
    retriever = LocalRetriever(thinking.embedder, thinking.workers, tmp_path / "cache", ENGLISH, folder)
    await retriever.warm()

    async def until_found(place: str) -> None:
        async with asyncio.timeout(20):
            while (await retriever.search("what is coffee made of"))[0].id != place:
                pass

    with caplog.at_level(logging.WARNING):
        (folder / "broken.pdf").write_bytes(b"%PDF-1.7 nothing")
        (folder / "coffee.txt").write_text("Coffee is made from roasted beans.\n")
        await until_found("coffee#coffee")
    assert "broken.pdf" in caplog.text
    assert retriever.topics() == ["coffee", "tea"]
    (folder / "coffee.txt").unlink()
    await until_found("tea#tea")
    await retriever.close()


async def reading(thinking: Thinking, folder: Path, cache: Path) -> LocalRetriever:
    retriever = LocalRetriever(thinking.embedder, thinking.workers, cache, ENGLISH, folder)
    await retriever.warm()
    return retriever


async def say(retriever: LocalRetriever, text: str) -> str:
    question = Question(text, Intent("question", 0.9), await retriever.search(text))
    return "".join([piece async for piece in GroundedAnswerer(ENGLISH).answer(question)]).strip()


POOL = """# The swimming pool

The pool opens at seven in the morning and closes at nine. On Sundays there is no swimming. A ticket costs six pounds for adults.
"""


@pytest.mark.parametrize("copies", [1, 2, 3, 5])
async def test_one_section_answers_however_often_it_stands_there(thinking: Thinking, tmp_path: Path, copies: int) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    for number in range(copies):
        (folder / f"{number}.md").write_text(POOL)
    retriever = await reading(thinking, folder, tmp_path / "cache")
    assert "six pounds" in await say(retriever, "How much is a ticket for the pool?")
    assert "seven in the morning" in await say(retriever, "When does the pool open?")
    assert await say(retriever, "Who painted the ceiling of the Sistine Chapel?") == ""
    assert await say(retriever, "How many people work at the pool?") == ""
    await retriever.close()


CAKES = {
    "menu.md": "# Cakes\n\n| Cake | Price |\n| --- | --- |\n| Apple cake | €3.50 |\n| Nut cake | €4.20 |\n| Plum tart | €5.10 |\n",
    "menu.html": "<h1>Cakes</h1><table><tr><th>Cake<th>Price</tr><tr><td>Apple cake<td>€3.50</tr>"
    "<tr><td>Nut cake<td>€4.20</tr><tr><td>Plum tart<td>€5.10</tr></table>",
    "cakes.csv": "Cake,Price\nApple cake,€3.50\nNut cake,€4.20\nPlum tart,€5.10\n",
    "cakes.txt": "Our cakes\n\nApple cake ..... €3.50\nNut cake ....... €4.20\nPlum tart ...... €5.10\n",
}


@pytest.mark.parametrize("name", CAKES)
async def test_the_price_of_a_thing_is_read_from_its_row(thinking: Thinking, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / name).write_text(CAKES[name], "utf-8")
    retriever = await reading(thinking, folder, tmp_path / "cache")
    prices = {"nut cake": "€4.20", "apple cake": "€3.50", "plum tart": "€5.10"}
    for cake, price in prices.items():
        answer = await say(retriever, f"How much is the {cake}?")
        assert price in answer
        if not name.endswith(".txt"):
            assert sum(other in answer for other in prices.values()) == 1, answer
    await retriever.close()


TABLES = """# Café Lindgren

## Cakes

| Cake | Price | Weight |
|---|---|---|
| Apple cake | €3.50 | 120 g |
| Nut cake | €4.20 | 110 g |
| Cheesecake | €4.80 | 150 g |

## Opening hours

| Day | Hours |
|---|---|
| Monday to Thursday | 8 am to 6 pm |
| Friday | 8 am to 10 pm |
| Saturday | 9 am to 10 pm |

## Rooms

| Room | Seats | Floor |
|---|---|---|
| Room 1 | 12 | ground floor |
| Room 2 | 30 | first floor |
| Room 4 | 8 | first floor |

## Halls

| Hall | Price per day |
|---|---|
| Hall A | 400 |
| Hall B | 650 |

## Bicycles for rent

| Months | Price per day |
|---|---|
| April to June | 12 euros |
| July | 18 euros |
| September | 14 euros |

## Treatments

- Massage: 60 euros
- Facial: 45 euros
- Manicure: 30 euros

## Vaccinations

| Vaccination | Doses | Price |
|---|---|---|
| Influenza | 1 | 25 euros |
| Rabies | 3 | 95 euros |

## Bicycles for sale

| Model | Type | Weight | Price |
|---|---|---|---|
| Heron City | city bicycle | 14.5 kg | 749 euros |
| Heron Trek | touring bicycle | 13.2 kg | 1,099 euros |
| Otter Cargo | cargo bicycle | 31 kg | 3,290 euros |

## Trains

> [!WARNING]
> The lift at platform two is out of order until spring.

| Train | Leaves | Arrives |
|---|---|---|
| IC 12 | 8:15 | 10:40 |
| IC 14 | 9:15 | 11:40 |
| RE 3 | 9:50 | 13:05 |

> Dogs travel free with their owner.

## Drinks

| Drink | Price | Size |
|---|---|---|
| Chai latte | €4.10 | 300 ml |
| Flat white | €3.90 | 160 ml |
| Carrot juice | €3.20 | 200 ml |
| Orange tea | €2.90 | 250 ml |

Straws of straw are sold at the till.

## Error codes

E01 means that the battery is too hot. E02 means that the sensor does not see the magnet.
"""


@pytest.fixture(scope="module")
def tables(warmed: Thinking, tmp_path_factory: pytest.TempPathFactory) -> LocalRetriever:
    folder = tmp_path_factory.mktemp("tables")
    (folder / "cafe.md").write_text(TABLES, "utf-8")
    return asyncio.run(reading(warmed, folder, tmp_path_factory.mktemp("cache")))


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("How much is the apple cake?", "€3.50"),
        ("What's the price of a slice of nut cake?", "€4.20"),
        ("How much is the plum cake?", ""),
        ("What does the carrot cake cost?", ""),
        ("How heavy is the cake with plums?", ""),
        ("When are you open on Friday?", "8 am to 10 pm"),
        ("What are the opening hours on Tuesday?", "8 am to 6 pm"),
        ("When are you open on Sunday?", ""),
        ("What are the opening hours on Sundays?", ""),
        ("How many seats does room 2 have?", "30"),
        ("How many seats does room 3 have?", ""),
        ("On which floor is room 7?", ""),
        ("What does hall B cost?", "650"),
        ("What does hall C cost?", ""),
        ("What does renting a bicycle cost in May?", "12 euros"),
        ("How much is renting a bicycle in December?", ""),
        ("How much is a massage?", "60 euros"),
        ("How much is a pedicure?", ""),
        ("What does the rabies vaccination cost?", "95 euros"),
        ("How much is the measles vaccination?", ""),
        ("How many doses does the rabies vaccination need?", "3"),
        ("Where is the rabies vaccine stored?", ""),
        ("How heavy is the Otter Cargo?", "31 kg"),
        ("How expensive is the Heron Trek?", "1,099"),
        ("How much is the Heron Sport?", ""),
        ("What colour is the Otter Cargo?", ""),
        ("What is the top speed of the Otter Cargo?", ""),
        ("Is the lift working?", "out of order"),
        ("Can I take my dog on the train?", "Dogs travel free"),
        ("When does IC 14 leave?", "9:15"),
        ("When does IC 16 leave?", ""),
        ("When does the night train leave?", ""),
        ("How much is the chai latte?", "€4.10"),
        ("What would two flat whites cost, please?", "€3.90"),
        ("How much do you charge for an orange tea?", "€2.90"),
        ("How much is the latte macchiato?", ""),
        ("What does an iced latte cost?", ""),
        ("How much is the carrot tea?", ""),
        ("What does the orange juice cost?", ""),
        ("Where can I buy a straw?", "at the till"),
        ("What does error code E02 mean?", "magnet"),
        ("What does error code E07 mean?", ""),
    ],
)
async def test_a_row_that_a_table_does_not_have_is_not_answered_by_another(
    tables: LocalRetriever, question: str, said: str
) -> None:
    answer = await say(tables, question)
    assert said in answer if said else answer == ""


@pytest.mark.parametrize("kind", ["rename", "link", "mounted"])
async def test_a_folder_that_another_takes_the_place_of_is_read_and_watched_on(
    thinking: Thinking, tmp_path: Path, kind: str
) -> None:
    """By a rename, by a link that points elsewhere, and as Kubernetes exchanges a ConfigMap."""
    folder = tmp_path / "docs"

    def deploy(number: int, text: str) -> None:
        new = tmp_path / f"new{number}" if kind != "mounted" else folder / f"..{number}"
        new.mkdir(parents=True)
        (new / "drinks.md").write_text(text)
        if kind == "rename":
            if folder.exists():
                folder.rename(tmp_path / f"old{number}")
            new.rename(folder)
            return
        link = folder if kind == "link" else folder / "..data"
        swap = link.with_name("..swap")
        swap.symlink_to(new)
        swap.rename(link)
        if kind == "mounted" and number == 1:
            (folder / "drinks.md").symlink_to("..data/drinks.md")

    deploy(1, "# Tea\n\nTea is made with hot water.\n")
    retriever = await reading(thinking, folder, tmp_path / "cache")

    async def until(title: str) -> None:
        async with asyncio.timeout(20):
            while (found := await retriever.search("what is it made of"))[0].title != title or len(found) > 1:
                pass

    await until("Tea")
    deploy(2, "# Coffee\n\nCoffee is made from roasted beans.\n")
    await until("Coffee")
    deploy(3, "# Cocoa\n\nCocoa is made from a powder.\n")
    await until("Cocoa")
    if kind != "mounted":
        (folder / "drinks.md").write_text("# Juice\n\nJuice is made from fruit.\n")
        await until("Juice")
    await retriever.close()


async def test_a_change_in_a_linked_folder_is_noticed(thinking: Thinking, tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "docs", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    (elsewhere / "tea.md").write_text("# Tea\n\nTea is hot.\n")
    (folder / "linked").symlink_to(elsewhere)
    retriever = await reading(thinking, folder, tmp_path / "cache")
    (elsewhere / "tea.md").write_text("# Iced tea\n\nTea is cold.\n")
    async with asyncio.timeout(20):
        while (await retriever.search("tea"))[0].title != "Iced tea":
            pass
    await retriever.close()


async def test_a_change_of_which_the_kernel_tells_nothing_is_noticed(
    thinking: Thinking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a file on a share: here it is behind a link, and the kernel watches the folder of the link."""
    monkeypatch.setattr("services.retrieval.folder.LOOKS", 1)
    monkeypatch.setattr("services.retrieval.folder.LOOK_MS", 200)
    folder, elsewhere = tmp_path / "docs", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    (elsewhere / "tea.md").write_text("# Tea\n\nTea is hot.\n")
    (folder / "tea.md").symlink_to(elsewhere / "tea.md")
    retriever = await reading(thinking, folder, tmp_path / "cache")
    (elsewhere / "tea.md").write_text("# Iced tea\n\nTea is cold.\n")
    async with asyncio.timeout(20):
        while (await retriever.search("tea"))[0].title != "Iced tea":
            pass
    await retriever.close()


async def test_a_folder_with_nothing_to_read_stops_the_start(thinking: Thinking, tmp_path: Path) -> None:
    with pytest.raises(ServiceUnavailable, match=str(tmp_path)):
        await LocalRetriever(thinking.embedder, thinking.workers, tmp_path, ENGLISH, tmp_path).warm()


async def test_a_broken_cache_is_made_again(thinking: Thinking, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "tea.md").write_text("# Tea\n\nTea is hot.\n")
    retriever = LocalRetriever(thinking.embedder, thinking.workers, tmp_path / "cache", ENGLISH, tmp_path)
    await retriever.warm()
    (file,) = (tmp_path / "cache").iterdir()
    file.write_bytes(b"broken")
    await retriever.close()
    with caplog.at_level(logging.WARNING):
        await retriever.warm()
    assert file.name in caplog.text
    assert (await retriever.search("tea"))[0].id == "tea#tea"


def built_in() -> list[Section]:
    return [section for _, document in read_folder(DEFAULT_FOLDER, ENGLISH.knowledge).values() for section in document.sections]


def test_the_measured_questions_are_not_copied_into_what_they_measure() -> None:
    asked = {plain(row["text"]) for row in rows(QUESTIONS)}
    known = {plain(question) for section in built_in() for question in section.asked}
    trained = {plain(text) for texts in read_examples(ENGLISH.folder / "intents.yaml").values() for text in texts}
    assert not asked & (known | trained)


def test_the_measured_questions_name_passages_that_exist() -> None:
    ids = {section.id for section in built_in()}
    assert {name for row in rows(QUESTIONS) for name in row["passages"]} <= ids


DOGS = """# Dogs at the hotel

Dogs are welcome in all rooms of the ground floor. A dog costs 15 euros a night. We feed dogs at eight in the morning. Puppies
are fed three times a day.
"""


@pytest.mark.parametrize(
    ("first", "then", "holds"),
    [
        ("How much is a dog?", "What about cats?", ""),
        ("How much is a dog?", "And cats?", ""),
        ("How much is a dog?", "I meant cats.", ""),
        ("When are dogs fed?", "How about rabbits?", ""),
        ("Where are dogs welcome?", "What about the breakfast room?", ""),
        ("When are dogs fed?", "What about puppies?", "three times a day"),
        ("How much is a dog?", "What about for two nights?", "15 euros"),
    ],
)
async def test_a_follow_up_about_another_subject_is_judged_by_that_subject(
    thinking: Thinking, tmp_path: Path, first: str, then: str, holds: str
) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "dogs.md").write_text(DOGS)
    retriever = await reading(thinking, folder, tmp_path / "cache")
    history = [Exchange(first, await say(retriever, first))]
    question = Question(then, Intent("question", 0.9), await retriever.search(then, history=history), history)
    answer = "".join([piece async for piece in GroundedAnswerer(ENGLISH).answer(question)])
    assert holds in answer and bool(answer) == bool(holds)
    await retriever.close()
