"""Reading documents: what becomes a section, and what a broken folder says."""

import logging
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

from documents.readers import NoDocuments, read, read_folder
from documents.sections import LONGEST, LONGEST_SENTENCE, Document, Row, overlapping, sentences
from languages.en import LANGUAGE as ENGLISH

GUIDE = """---
title: not read
---
# The guide

## First steps

> How do I begin? Where is the *start*?

Press **start**. Then [speak](https://example.org) to `parley`.

```sh
rm -rf nothing
```

- one thing
- another thing

### On Linux

It works.

## First steps

Again.
"""


PAGE = """<html><head><title>Rules</title><style>p {}</style></head><body><nav><p>Home</p></nav>
<h2>Who may play</h2><p>Anyone over <b>six</b>.</p><ul><li>With a hat</li><li><p>Without a coat</p></li></ul>
<pre>print()</pre><h3>Fees</h3><table><tr><td>Two euros</td></tr></table><script>alert(1)</script></body></html>"""
NOTES = """The garden

Roses grow by the wall. They are
red.

Watering

Water them at dawn."""


@pytest.fixture
def parse(tmp_path: Path) -> Callable[..., Document]:
    def parsed(source: str, name: str, suffix: str = ".md") -> Document:
        path = tmp_path / f"{name}{suffix}"
        path.parent.mkdir(exist_ok=True)
        path.write_text(source, "utf-8")
        return read(path, tmp_path, ENGLISH.knowledge)

    return parsed


Parse = Callable[..., Document]


def test_a_web_page(parse: Parse) -> None:
    document = parse(PAGE, "rules", ".html")
    assert document.title == "Rules"
    assert [(section.context, section.text) for section in document.sections] == [
        ("Who may play", "Anyone over six. With a hat. Without a coat."),
        ("Who may play: Fees", "Two euros."),
    ]


def test_plain_text(parse: Parse) -> None:
    document = parse(NOTES, "notes", ".txt")
    assert [(section.title, section.text) for section in document.sections] == [
        ("The garden", "Roses grow by the wall. They are red."),
        ("Watering", "Water them at dawn."),
    ]


def test_a_pdf(tmp_path: Path) -> None:
    page = Figure()
    page.text(0.1, 0.8, "The lighthouse was built in 1811. It burns whale oil.")
    page.savefig(tmp_path / "light.pdf", metadata={"Title": "The lighthouse"})
    document = read(tmp_path / "light.pdf", tmp_path, ENGLISH.knowledge)
    assert document.title == "The lighthouse"
    assert document.sections[0].sentences == ("The lighthouse was built in 1811.", "It burns whale oil.")


def test_only_changed_files_are_read_again(tmp_path: Path) -> None:
    (tmp_path / "same.md").write_text("Same.")
    (tmp_path / "other.md").write_text("Old.")
    before = read_folder(tmp_path, ENGLISH.knowledge)
    (tmp_path / "other.md").write_text("Newer.")
    after = read_folder(tmp_path, ENGLISH.knowledge, before)
    assert after[tmp_path / "same.md"] is before[tmp_path / "same.md"]
    assert after[tmp_path / "other.md"][1].sections[0].text == "Newer."


def test_sections_are_named_by_their_headings(parse: Parse) -> None:
    document = parse(GUIDE, "docs/guide")
    assert document.title == "The guide"
    ids = [section.id for section in document.sections]
    assert ids == ["docs/guide#first-steps", "docs/guide#on-linux", "docs/guide#first-steps-2"]
    assert document.sections[1].context == "First steps: On Linux"
    assert document.sections[1].title == "On Linux"


def test_only_what_can_be_spoken_is_kept(parse: Parse) -> None:
    first = parse(GUIDE, "guide").sections[0]
    assert first.sentences == ("Press start.", "Then speak to parley.", "one thing.", "another thing.")
    assert first.asked == ("How do I begin?", "Where is the start?")
    assert "rm -rf" not in first.text


def test_text_without_headings_is_a_section_too(parse: Parse) -> None:
    (section,) = parse("Just this.", "note").sections
    assert (section.id, section.title, section.text) == ("note#note", "note", "Just this.")


def test_a_long_section_is_cut_between_sentences(parse: Parse) -> None:
    sentence = "Eight words stand here, and so they do."
    parts = parse(f"# Long\n\n{(sentence + ' ') * 50}", "long").sections
    assert [part.id for part in parts] == ["long#long", "long#long-2", "long#long-3"]
    assert all(len(part.text.split()) <= LONGEST for part in parts)
    assert sum(len(part.sentences) for part in parts) == 50


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("Dr. Smith came. He sat.", ["Dr. Smith came.", "He sat."]),
        ("It costs 3.5 euros. Fine.", ["It costs 3.5 euros.", "Fine."]),
        ('He said "No." Then he left.', ['He said "No."', "Then he left."]),
        ("", []),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert sentences(text, ENGLISH.knowledge) == expected


MENU = """# Cakes

Baked by hand.

| Cake | Price | Weight |
| --- | --- | --- |
| Apple cake | €3.50 | 120 g |
| Nut cake | €4.20 | |

> [!NOTE]
> Nuts are
> from Kent.

> > She said it was *good*. We agree.

> Which cakes are there?

- Tea<br>and milk
  - with sugar
  - without

Line one<br>
Line two
"""


def texts(document: Document) -> list[str]:
    return [sentence for section in document.sections for sentence in section.sentences]


def test_a_table_is_read_row_by_row_and_quotations_are_said(parse: Parse) -> None:
    (section,) = parse(MENU, "menu").sections
    assert section.sentences == (
        "Baked by hand.",
        "Apple cake: Price €3.50, Weight 120 g.",
        "Nut cake: Price €4.20.",
        "Nuts are from Kent.",
        "She said it was good.",
        "We agree.",
        "Tea and milk.",
        "with sugar.",
        "without.",
        "Line one.",
        "Line two.",
    )
    assert section.asked == ("Which cakes are there?",)
    assert [isinstance(sentence, Row) for sentence in section.sentences].count(True) == 2


HEADLESS = (
    "<table><tr><td>Cake</td><td>Price</td></tr><tr><td>Nut cake</td><td>4</td></tr><tr><td>Apple</td><td>3</td></tr></table>"
)


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("<div>Bare <b>text</b> here<div>and there</div></div>", ["Bare text here.", "and there."]),
        ("<p>Nut cake<br>4 euros<br/>Apple cake<br>3 euros</p>", ["Nut cake.", "4 euros.", "Apple cake.", "3 euros."]),
        ("<ul><li>One<ul><li>Two</li><li>Three</li></ul></li><li>Four</li></ul>", ["One.", "Two.", "Three.", "Four."]),
        ("<p>No<span>space</span> wel<i>ded</i></p><p>A&nbsp;b</p>", ["Nospace welded.", "A b."]),
        (
            "<table><thead><tr><th>Cake<th>Price</tr></thead><tr><td>Nut cake<td>4</tr></table>",
            ["Nut cake: Price 4."],
        ),
        (HEADLESS, ["Nut cake: Price 4.", "Apple: Price 3."]),
        ("<table><tr><th>Opens</th><td>9</td></tr><tr><th>Closes</th><td>5</td></tr></table>", ["Opens: 9.", "Closes: 5."]),
        ("<table><tr><td>Just</td></tr><tr><td>layout</td></tr></table>", ["Just.", "layout."]),
        ("<dl><dt>Opus</dt><dd>A codec.</dd><dt>STUN</dt><dd>A server</dd></dl>", ["Opus: A codec.", "STUN: A server."]),
        ("<blockquote><p>Quoted. <q>Twice</q></p></blockquote>", ["Quoted.", "Twice."]),
        ("<my-element>Own element</my-element><p>x<!-- no --></p>", ["Own element.", "x."]),
        ("<p dir=rtl>שלום עולם. מה שלומך? טוב.</p>", ["שלום עולם.", "מה שלומך?", "טוב."]),
        ("", []),
    ],
)
def test_the_text_of_a_page(parse: Parse, page: str, expected: list[str]) -> None:
    assert texts(parse(page, "page", ".html")) == expected


def test_a_question_and_its_answer_in_details(parse: Parse) -> None:
    (section,) = parse("<details><summary>Is it open?</summary>Until five.</details>", "page", ".html").sections
    assert (section.sentences, section.asked) == (("Until five.",), ("Is it open?",))


def test_html_in_markdown_is_read_too(parse: Parse) -> None:
    source = "# A\n\n<table>\n<tr><th>Cake</th><th>Price</th></tr>\n<tr><td>Nut</td><td>4</td></tr>\n</table>\n\n<!-- not -->\n"
    assert texts(parse(source, "a")) == ["Nut: Price 4."]


@pytest.mark.parametrize("suffix", [".txt", ".md", ".html", ".csv"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "cp1252", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_every_usual_encoding_is_read(tmp_path: Path, suffix: str, encoding: str) -> None:
    (tmp_path / f"menu{suffix}").write_bytes("Crème brûlée costs £4. It is good, très bon.".encode(encoding))
    assert "Crème brûlée costs £4" in " ".join(texts(read(tmp_path / f"menu{suffix}", tmp_path, ENGLISH.knowledge)))


@pytest.mark.parametrize(
    ("declared", "encoding"), [("iso-8859-2", "iso-8859-2"), ("ISO-8859-1", "cp1252"), ("nonsense", "utf-8")]
)
def test_a_page_names_its_encoding(tmp_path: Path, declared: str, encoding: str) -> None:
    for head in (f'<meta charset="{declared}">', f'<meta http-equiv=Content-Type content="text/html; charset={declared}">'):
        (tmp_path / "page.html").write_bytes(f"<head>{head}</head><p>Čaj – “ano”".encode(encoding, "ignore"))
        wanted = "Čaj" if encoding != "cp1252" else "aj – “ano”"
        assert wanted in texts(read(tmp_path / "page.html", tmp_path, ENGLISH.knowledge))[0]


PRICES = """Opening hours
Monday to Friday 9 to 5
Saturday 10 to 2

Espresso ........ 2.20
Cappuccino        3.10
Flat white        3.40

- Beans from Brazil,
  roasted here
- Milk from Kent

1. First grind
2. Then brew
"""
PROSE = """The mill was built by the river in the year 1811 and burned down twice, each
time in winter, when the ice had stopped the wheel. Its owner, a widow named
Ann Hale, had it built again with money that her neighbours had lent her."""


def test_lines_without_full_stops_are_sentences_of_their_own(parse: Parse) -> None:
    for source in (PRICES, PRICES.replace("\n", "\r\n")):
        assert texts(parse(source, "prices", ".txt")) == [
            "Opening hours.",
            "Monday to Friday 9 to 5.",
            "Saturday 10 to 2.",
            "Espresso: 2.20.",
            "Cappuccino 3.10.",
            "Flat white 3.40.",
            "Beans from Brazil, roasted here.",
            "Milk from Kent.",
            "First grind.",
            "Then brew.",
        ]


def test_wrapped_lines_are_put_together(parse: Parse) -> None:
    assert [len(sentence.split()) for sentence in texts(parse(PROSE, "mill", ".txt"))] == [26, 19]
    assert texts(parse("The town was founded by\nKing Aldric and the\nSalt Guild.", "town", ".txt")) == [
        "The town was founded by King Aldric and the Salt Guild."
    ]


def test_lines_each_apart_are_no_headings(parse: Parse) -> None:
    assert texts(parse("Espresso 2.20\n\nCappuccino 3.10\n\nFlat white 3.40\n", "menu", ".txt")) == [
        "Espresso 2.20.",
        "Cappuccino 3.10.",
        "Flat white 3.40.",
    ]


@pytest.mark.parametrize("word", ["word", "word,", "שלום", "語"])
def test_no_sentence_is_longer_than_can_be_said(parse: Parse, word: str) -> None:
    said = texts(parse(f"{word} " * 1_000, "long", ".md"))
    assert max(len(sentence.split()) for sentence in said) <= LONGEST_SENTENCE
    assert sum(len(sentence.split()) for sentence in said) == 1_000


@pytest.mark.parametrize(
    ("source", "suffix", "expected"),
    [
        ("Cake,Price\nNut cake,4\n", ".csv", ["Nut cake: Price 4."]),
        ('Cake;Price\n"Nut; cake";4\n"Apple\ncake";3\n', ".csv", ["Nut; cake: Price 4.", "Apple cake: Price 3."]),
        ("Cake\tPrice\r\nNut cake\t4\r\n", ".tsv", ["Nut cake: Price 4."]),
        ("Nut cake,4\nApple cake,3\n", ".csv", ["Nut cake: 4.", "Apple cake: 3."]),
        ("Name\nNut cake\n", ".csv", ["Name.", "Nut cake."]),
        ("Cake,Price,Note\n,4,\n\nNut,,fresh\n", ".csv", ["Price 4.", "Nut: Note fresh."]),
        ("", ".csv", []),
    ],
)
def test_a_sheet(parse: Parse, source: str, suffix: str, expected: list[str]) -> None:
    assert texts(parse(source, "cakes", suffix)) == expected


def test_a_word_document(tmp_path: Path) -> None:
    """As Word packs it: a title, a heading, a list, a table."""

    def paragraph(text: str, style: str = "") -> str:
        styled = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
        return f"<w:p>{styled}<w:r><w:t>{text}</w:t></w:r></w:p>"

    def table(*rows: tuple[str, ...]) -> str:
        cells = ("".join(f"<w:tc>{paragraph(cell)}</w:tc>" for cell in row) for row in rows)
        return "<w:tbl>" + "".join(f"<w:tr>{row}</w:tr>" for row in cells) + "</w:tbl>"

    body = paragraph("The bakery", "Heading1") + paragraph("Prices", "Heading2") + paragraph("Baked by hand.")
    body += table(("Cake", "Price"), ("Nut cake", "4"), ("Apple cake", "3"))
    space = "http://schemas.openxmlformats.org"
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{space}/package/2006/content-types"><Default Extension="xml" '
        'ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{space}/package/2006/relationships"><Relationship Id="r" '
        f'Type="{space}/officeDocument/2006/relationships/officeDocument" Target="word/document.xml"/></Relationships>',
        "word/document.xml": f'<w:document xmlns:w="{space}/wordprocessingml/2006/main"><w:body>{body}</w:body></w:document>',
    }
    with zipfile.ZipFile(tmp_path / "bakery.docx", "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    document = read(tmp_path / "bakery.docx", tmp_path, ENGLISH.knowledge)
    assert document.title == "The bakery"
    assert texts(document) == ["Baked by hand.", "Nut cake: Price 4.", "Apple cake: Price 3."]
    assert document.sections[0].title == "Prices"


def test_the_headings_of_a_pdf_are_known_by_their_type_and_its_running_heads_are_left_out(tmp_path: Path) -> None:
    from matplotlib.backends.backend_pdf import PdfPages

    pages = [
        [("Pump P7", 20, "normal"), ("Cleaning", 11, "bold"), ("Rinse the pump with water.", 11, "normal")],
        [("Do not use soap, as it", 11, "normal"), ("foams.", 11, "normal"), ("Error codes", 14, "normal")],
        [("E1 means that there is no water.", 11, "normal"), ("Call us if it stays.", 11, "normal")],
    ]
    with PdfPages(tmp_path / "pump.pdf") as file:
        for number, lines in enumerate(pages, 1):
            page = Figure()
            printed = [("Acme manuals", 9, "normal"), *lines, (f"Page {number}", 9, "normal")]
            for at, (text, size, weight) in enumerate(printed):
                page.text(0.1, 0.9 - 0.1 * at, text, fontsize=size, fontweight=weight)
            file.savefig(page)
    document = read(tmp_path / "pump.pdf", tmp_path, ENGLISH.knowledge)
    assert document.title == "Pump P7"
    assert [(section.context, section.sentences) for section in document.sections] == [
        ("Cleaning", ("Rinse the pump with water.", "Do not use soap, as it foams.")),
        ("Error codes", ("E1 means that there is no water.", "Call us if it stays.")),
    ]


def test_a_table_in_a_pdf(tmp_path: Path) -> None:
    page = Figure()
    for number, line in enumerate(["Espresso 2.20", "Cappuccino 3.10", "Flat white 3.40"]):
        page.text(0.1, 0.8 - number / 10, line)
    page.savefig(tmp_path / "menu.pdf")
    assert texts(read(tmp_path / "menu.pdf", tmp_path, ENGLISH.knowledge)) == [
        "Espresso 2.20.",
        "Cappuccino 3.10.",
        "Flat white 3.40.",
    ]


def test_links_are_followed_once_and_without_loops(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "docs", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    (folder / "one.md").write_text("One.")
    (elsewhere / "two.md").write_text("Two.")
    (folder / "linked").symlink_to(elsewhere)
    (folder / "again").symlink_to(elsewhere)
    (folder / "copy.md").symlink_to(folder / "one.md")
    (folder / "loop").symlink_to(folder)
    (elsewhere / "back").symlink_to(folder)
    (folder / "nowhere.md").symlink_to(tmp_path / "nothing")
    (folder / ".hidden").mkdir()
    (folder / ".hidden" / "three.md").write_text("Three.")
    assert sorted(path.name for path in read_folder(folder, ENGLISH.knowledge)) == ["one.md", "two.md"]


def test_the_files_of_a_mounted_configmap_are_read_once(tmp_path: Path) -> None:
    (tmp_path / "..2026_11").mkdir()
    (tmp_path / "..2026_11" / "a.md").write_text("Mounted.")
    (tmp_path / "..data").symlink_to("..2026_11")
    (tmp_path / "a.md").symlink_to("..data/a.md")
    assert [path.relative_to(tmp_path).as_posix() for path in read_folder(tmp_path, ENGLISH.knowledge)] == ["a.md"]


def test_files_of_a_kind_that_is_not_read_are_named_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "a.md").write_text("A.")
    for number in range(13):
        (tmp_path / f"table{number:02}.xlsx").write_bytes(b"PK")
    shelf = read_folder(tmp_path, ENGLISH.knowledge)
    assert "table09.xlsx and 3 more" in caplog.text and "table10" not in caplog.text
    caplog.clear()
    read_folder(tmp_path, ENGLISH.knowledge, shelf)
    assert caplog.text == ""


def test_a_file_that_is_too_large_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("documents.readers.LARGEST", 1_000)
    (tmp_path / "huge.txt").write_text("Text. " * 1_000)
    (tmp_path / "small.txt").write_text("Text.")
    assert [path.name for path in read_folder(tmp_path, ENGLISH.knowledge)] == ["small.txt"]
    assert "huge.txt" in caplog.text


@pytest.mark.parametrize(("part", "why"), [(b"<w:p/>" * 500_000, "tags"), (b" " * 40_000_000, "unpacks")])
def test_a_word_document_that_unpacks_to_much_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, part: bytes, why: str
) -> None:
    """It is refused before anything of it is read as a document."""
    with zipfile.ZipFile(tmp_path / "bomb.docx", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", part)
    (tmp_path / "small.txt").write_text("Text.")
    assert [path.name for path in read_folder(tmp_path, ENGLISH.knowledge)] == ["small.txt"]
    assert "bomb.docx" in caplog.text and why in caplog.text


@pytest.mark.parametrize(
    "nested", ["<div>", "<ul><li>", "<div></b>", "<b><div></b>", "<x-y/>", "<svg><tr>", "<table><tr><td>", "<DIV class='a>b'>"]
)
@pytest.mark.parametrize("name", ["deep.html", "deep.md"])
def test_a_page_that_nests_without_end_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, nested: str, name: str
) -> None:
    (tmp_path / name).write_text("<div>" + nested * 12_000)
    (tmp_path / "small.txt").write_text("Text.")
    assert [path.name for path in read_folder(tmp_path, ENGLISH.knowledge)] == ["small.txt"]
    assert f"{name} is skipped: more than 10,000 elements" in caplog.text


def test_a_long_page_with_careless_tags_is_read(tmp_path: Path) -> None:
    rows = "<div><p>Tea is <b><i>hot</b>.<br><img src='x'></div><ul><li>One.<li>Two.</ul><table><tr><td>A<td>B</table>" * 12_000
    (tmp_path / "long.html").write_text(rows)
    assert "Tea is hot." in texts(read(tmp_path / "long.html", tmp_path, ENGLISH.knowledge))


def test_cells_that_span_rows_and_columns_stand_under_their_headings(parse: Parse) -> None:
    rows = (
        "<tr><th>Name</th><th>Role</th><th>Phone</th></tr><tr><td>Ada</td><td rowspan=2>Barista</td><td>991</td></tr>"
        "<tr><td>Ben</td><td></td></tr><tr><td colspan=2>Cy, manager</td><td>990</td></tr>"
        "<tr><td rowspan=x>Di</td><td colspan=99999>Cook</td></tr>"
    )
    assert texts(parse(f"<table>{rows}</table>", "staff", ".html")) == [
        "Ada: Role Barista, Phone 991.",
        "Ben: Role Barista.",
        "Cy, manager: Phone 990.",
        "Di: Role Cook.",
    ]
    wide = "<tr><th>Coffee</th><th colspan=2>Price in euros</th></tr><tr><td>Latte</td><td>3</td><td>4</td></tr>"
    assert texts(parse(f"<table>{wide}</table>", "prices", ".html")) == ["Latte: Price in euros 3, Price in euros 4."]


def test_lines_that_all_begin_like_sentences_are_a_list(parse: Parse) -> None:
    rules = [
        "Dogs are welcome on a lead, but not in the kitchen garden",
        "Laptops may be used on weekdays only, and never at lunch",
        "Smoking is not allowed anywhere, including the terrace",
    ]
    assert texts(parse("\n".join(rules), "rules", ".txt")) == [f"{rule}." for rule in rules]
    wrapped = (
        "The garden is open to everybody who wants to see the\nRoyal Oak, which is the oldest tree of the whole town and\n"
        "stands there since the war"
    )
    assert len(texts(parse(wrapped, "garden", ".txt"))) == 1


def test_a_long_file_of_which_all_sections_have_one_name_has_an_id_for_each(parse: Parse) -> None:
    document = parse("\n\n".join(f"Thing {n} costs {n} euros." for n in range(100_000)), "list", ".txt")
    ids = [section.id for section in document.sections]
    assert len(ids) == len(set(ids)) > 2000
    assert ids[:3] == ["list#list", "list#list-2", "list#list-3"]


@given(st.binary(max_size=300), st.sampled_from([".md", ".txt", ".html", ".csv"]))
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_bytes_break_a_reader(tmp_path: Path, data: bytes, suffix: str) -> None:
    (tmp_path / f"any{suffix}").write_bytes(data)
    for sentence in texts(read(tmp_path / f"any{suffix}", tmp_path, ENGLISH.knowledge)):
        assert sentence.strip() and len(sentence.split()) <= LONGEST_SENTENCE


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoDocuments, match="nowhere does not exist"):
        read_folder(tmp_path / "nowhere", ENGLISH.knowledge)


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoDocuments, match=str(tmp_path)):
        read_folder(tmp_path, ENGLISH.knowledge)


def test_a_broken_file_is_reported_and_skipped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "bad.pdf").write_bytes(b"no pdf")
    (tmp_path / "empty.md").write_text("# Only a heading\n")
    (tmp_path / "good.md").write_text("\ufeff# Good\n\nText.", "utf-8")
    with caplog.at_level(logging.WARNING):
        documents = [document for _, document in read_folder(tmp_path, ENGLISH.knowledge).values() if document.sections]
    assert [document.title for document in documents] == ["Good"]
    assert "bad.pdf" in caplog.text
    assert "empty.md" in caplog.text


def test_a_file_that_another_of_the_same_size_and_time_takes_the_place_of_is_read(tmp_path: Path) -> None:
    """As of releases whose times are all set alike, that a link or a rename exchanges."""
    for release, price in (("one", "2.50"), ("two", "2.80")):
        (tmp_path / release).mkdir()
        (tmp_path / release / "menu.md").write_text(f"Tea is {price}.")
        os.utime(tmp_path / release / "menu.md", (1, 1))
    (tmp_path / "now").symlink_to(tmp_path / "one")
    before = read_folder(tmp_path / "now", ENGLISH.knowledge)
    (tmp_path / "now").unlink()
    (tmp_path / "now").symlink_to(tmp_path / "two")
    after = read_folder(tmp_path / "now", ENGLISH.knowledge, before)
    assert [texts(document) for _, document in before.values()] == [["Tea is 2.50."]]
    assert [texts(document) for _, document in after.values()] == [["Tea is 2.80."]]


def test_marks_of_open_files_are_not_read_and_names_of_notion_are_shortened(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "~$menu.docx").write_bytes(b"\x05Anna")
    (tmp_path / "desktop.ini").write_text("[x]")
    (tmp_path / "Opening hours 1a2b3c4d5e6f47089abcdef123456789.md").write_text("From nine.")
    (document,) = [document for _, document in read_folder(tmp_path, ENGLISH.knowledge).values()]
    assert document.title == "Opening hours" and not caplog.records


def test_a_sentence_that_stands_on_each_page_with_another_number_is_no_running_head(tmp_path: Path) -> None:
    from matplotlib.backends.backend_pdf import PdfPages

    with PdfPages(tmp_path / "rooms.pdf") as file:
        for number in range(1, 5):
            page = Figure()
            page.text(0.1, 0.8, f"Room {number} costs {number}0 euros.")
            page.text(0.5, 0.1, f"- {number} -")
            file.savefig(page)
    document = read(tmp_path / "rooms.pdf", tmp_path, ENGLISH.knowledge)
    assert texts(document) == [f"Room {number} costs {number}0 euros." for number in range(1, 5)]


@pytest.mark.parametrize(
    ("sizes", "stretches"),
    [
        ([], []),
        ([90], ["a"]),
        ([3, 3], ["a b"]),
        ([4, 4, 4], ["a b", "b c"]),
        ([9, 90, 9], ["a", "b", "c"]),
        ([2, 2, 2, 2, 2, 2, 2], ["a b c d e", "d e f g"]),
    ],
)
def test_sentences_are_read_in_stretches_each_of_which_begins_within_the_one_before(
    sizes: list[int], stretches: list[str]
) -> None:
    assert overlapping("abcdefg"[: len(sizes)], sizes, 10) == stretches
