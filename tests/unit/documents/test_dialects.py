"""Markdown as programs extend it: what is read of it, and what is left out."""
# ruff: noqa: E501 (each source stands in one line)

from pathlib import Path

import pytest

from tests.unit.documents.reading import parsed, said


@pytest.mark.parametrize(
    ("source", "sentences"),
    [
        pytest.param(
            "---\ntitle: Opening hours\ntags: [shop]\n---\nWe open at nine.\n", ["We open at nine."], id="yaml front matter"
        ),
        pytest.param(
            "---\ntitle: Site title\n---\n# The shop\n\nWe open at nine.\n",
            ["We open at nine."],
            id="front matter, title and h1",
        ),
        pytest.param(
            "---\n---\nWe open at nine.\n\n---\n\nWe close at five.\n",
            ["We open at nine.", "We close at five."],
            id="empty front matter",
        ),
        pytest.param(
            "---\n\nWe open at nine.\n\n---\n\nWe close at five.\n",
            ["We open at nine.", "We close at five."],
            id="rule at the top is no front matter",
        ),
        pytest.param(
            "---\nWe open at nine.\n\nParking is free.\n\n---\nWe close at five.\n",
            ["We open at nine.", "Parking is free.", "We close at five."],
            id="rule at top, no blank lines",
        ),
        pytest.param("---\ntitle: Shop\n...\nWe open at nine.\n", ["We open at nine."], id="front matter ended by dots"),
        pytest.param("---\ntitle: Shop\ndescription: x\n---", [], id="front matter at the end of file"),
        pytest.param(
            '+++\ntitle = "Shop"\ndate = 2024-01-01\n+++\nWe open at nine.\n', ["We open at nine."], id="toml front matter"
        ),
        pytest.param(
            '{\n  "title": "Shop",\n  "weight": 3\n}\n\nWe open at nine.\n', ["We open at nine."], id="json front matter"
        ),
        pytest.param("---\r\ntitle: Shop\r\n---\r\nWe open at nine.\r\n", ["We open at nine."], id="front matter CRLF"),
        pytest.param("--- \ntitle: Shop\n---  \nWe open at nine.\n", ["We open at nine."], id="front matter trailing space"),
        pytest.param(
            '---\ntitle: "Shop: the rules"\n---\nWe open at nine.\n', ["We open at nine."], id="front matter quoted title"
        ),
        pytest.param("\ufeff---\ntitle: Shop\n---\nWe open at nine.\n", ["We open at nine."], id="front matter with BOM"),
        pytest.param(
            "---\ntitle: Shop: rules\nx: [a\n---\nWe open at nine.\n", ["We open at nine."], id="front matter bad yaml"
        ),
        pytest.param(
            "See [[Opening hours]] and [[Prices|our prices]]. Also [[Menu#Drinks|the drinks]].\n",
            ["See Opening hours and our prices.", "Also the drinks."],
            id="wikilinks",
        ),
        pytest.param("See [[Menu#Drinks]].\n", ["See Menu: Drinks."], id="wikilink heading"),
        pytest.param("![[photo.png]]\n\nWe open at nine.\n\n![[plan.jpg|300]]\n", ["We open at nine."], id="image embed"),
        pytest.param(
            "We open at nine. ^hours\n\nWe close at five. ^abc123\n", ["We open at nine.", "We close at five."], id="block id"
        ),
        pytest.param("#shop #hours/summer\n\nWe open at nine.\n", ["We open at nine."], id="tags"),
        pytest.param("We open at ==nine==.\n", ["We open at nine."], id="highlight"),
        pytest.param(
            "We open at nine. %%ask Tom%%\n\n%%\nA long\ncomment.\n%%\n\nWe close at five.\n",
            ["We open at nine.", "We close at five."],
            id="comment",
        ),
        pytest.param("VAT is 20%. Tips are 10% or 15%.\n", ["VAT is 20%.", "Tips are 10% or 15%."], id="percent is no comment"),
        pytest.param(
            "> [!tip] Parking\n> Park behind the house.\n", ["Parking.", "Park behind the house."], id="callout with a title"
        ),
        pytest.param(
            "> [!faq]- Can I pay by card?\n> Yes, by Visa and Mastercard.\n",
            ["Yes, by Visa and Mastercard."],
            id="callout folded",
        ),
        pytest.param("> [!question] Do you take dogs?\n> Small dogs only.\n", ["Small dogs only."], id="callout question open"),
        pytest.param("- [ ] Lock the door.\n- [x] Feed the cat.\n", ["Lock the door.", "Feed the cat."], id="tasks"),
        pytest.param(
            "Breakfast is included[^1].\n\n[^1]: Except on Mondays.\n",
            ["Breakfast is included.", "Except on Mondays."],
            id="footnotes",
        ),
        pytest.param(
            "Breakfast[^mon] is included. Dogs are welcome.\n\n[^mon]: Except on Mondays.\n",
            ["Breakfast is included.", "Dogs are welcome.", "Except on Mondays."],
            id="footnote named",
        ),
        pytest.param(
            "Breakfast is included^[Except on Mondays.].\n",
            ["Breakfast is included.", "Except on Mondays."],
            id="inline footnote",
        ),
        pytest.param("A room is ~~€80~~ €60.\n", ["A room is €60."], id="strikethrough"),
        pytest.param("~~The pool is closed.~~ The pool is open.\n", ["The pool is open."], id="strikethrough whole"),
        pytest.param(
            "The area is $a^2$ and a coffee is $3 or $4.\n", ["The area is $a^2$ and a coffee is $3 or $4."], id="inline math"
        ),
        pytest.param("A coffee is $3 and a tea is $2.\n", ["A coffee is $3 and a tea is $2."], id="prices in dollars"),
        pytest.param("Price:: 5 euros\nOpen:: daily\n", ["Price: 5 euros.", "Open: daily."], id="dataview fields"),
        pytest.param("The price is [price:: 5 euros].\n", ["The price is price: 5 euros."], id="inline dataview"),
        pytest.param("```dataview\nTABLE x\n```\n\nWe open at nine.\n", ["We open at nine."], id="dataview code"),
        pytest.param("```mermaid\ngraph TD\n```\nWe open at nine.\n", ["We open at nine."], id="mermaid"),
        pytest.param(
            '# Shop\n\n<aside>\n<img src="i.svg" width="40px" />\n\nRing the bell after six.\n\n</aside>\n',
            ["Ring the bell after six."],
            id="notion callout html",
        ),
        pytest.param(
            "- How do I park?\n    \n    Behind the house.\n    \n- Is there wifi?\n    \n    Yes, everywhere.\n",
            ["How do I park?", "Behind the house.", "Is there wifi?", "Yes, everywhere."],
            id="notion toggle",
        ),
        pytest.param(
            "# Anna Berg\n\nRole: Chef\nPhone: 555 0101\nStart: 2020\n\nShe likes soup.\n",
            ["Role: Chef.", "Phone: 555 0101.", "Start: 2020.", "She likes soup."],
            id="notion properties",
        ),
        pytest.param(
            "[Rooms](Rooms%201a2b.csv)\n\nWe have ten rooms.\n", ["Rooms.", "We have ten rooms."], id="notion database link"
        ),
        pytest.param(
            "# Tool\n\n[![CI](https://x/y.svg)](https://x/y) ![npm](https://x)\n\nTool makes tea.\n",
            ["Tool makes tea."],
            id="badges",
        ),
        pytest.param(
            "![A map of the garden](map.png)\n\nThe gate is in the north.\n", ["The gate is in the north."], id="image with alt"
        ),
        pytest.param(
            "Open 9:00 to 17:30: daily. Ratio 1:2:3.\n",
            ["Open 9:00 to 17:30: daily.", "Ratio 1:2:3."],
            id="time with colons no emoji",
        ),
        pytest.param(
            "<details>\n<summary>Do you ship abroad?</summary>\n\nYes, to all of Europe.\n\n</details>\n\nMore text.\n",
            ["Yes, to all of Europe.", "More text."],
            id="details",
        ),
        pytest.param(
            "<details>\n<summary>Do you ship abroad?</summary>\n\nYes, to all of Europe.\n\n</details>\n\n<details>\n<summary><b>Can I return it?</b></summary>\n\nWithin a month.\n\n</details>\n",
            ["Yes, to all of Europe.", "Within a month."],
            id="details twice",
        ),
        pytest.param(
            "<!-- prettier-ignore -->\nWe open at nine. <!-- todo -->\n\n<!--\nhidden\n-->\n",
            ["We open at nine."],
            id="comment html",
        ),
        pytest.param("<!-- toc -->\n\nWe open at nine.\n", ["We open at nine."], id="comment before text same paragraph"),
        pytest.param(
            "We open at <b>nine</b>, press <kbd>Enter</kbd>. H<sub>2</sub>O.\n",
            ["We open at nine, press Enter.", "H2O."],
            id="inline html tags",
        ),
        pytest.param('## <a name="x"></a>Parking\n\nBehind the house.\n', ["Behind the house."], id="anchor in heading"),
        pytest.param("## Parking {#parking}\n\nBehind the house.\n", ["Behind the house."], id="heading id"),
        pytest.param("## Parking ##\n\nBehind the house.\n", ["Behind the house."], id="closed heading"),
        pytest.param("##Parking\n\nBehind the house.\n", ["Behind the house."], id="heading without a space"),
        pytest.param("#1 in town since 1990.\n", ["#1 in town since 1990."], id="number sign is no heading"),
        pytest.param("Parking\n-------\n\nBehind the house.\n", ["Behind the house."], id="setext heading"),
        pytest.param(
            "**Parking**\n\nBehind the house.\n\n**Wifi**\n\nEverywhere.\n",
            ["Behind the house.", "Everywhere."],
            id="bold as heading",
        ),
        pytest.param(
            "**Parking:**\n\nBehind the house.\n\n**Wifi:**\n\nEverywhere.\n",
            ["Behind the house.", "Everywhere."],
            id="bold as heading with colon",
        ),
        pytest.param(
            "**Can I park?**\n\nBehind the house.\n\n**Is there wifi?**\n\nEverywhere.\n",
            ["Behind the house.", "Everywhere."],
            id="bold question as heading",
        ),
        pytest.param(
            "**Closed on Mondays.**\n\nWe open at nine.\n",
            ["Closed on Mondays.", "We open at nine."],
            id="bold sentence is none",
        ),
        pytest.param(
            "We open at nine.\n\n**Closed on Mondays**\n",
            ["We open at nine.", "Closed on Mondays."],
            id="bold at the end is none",
        ),
        pytest.param(
            "## Can I bring my dog?\n\nYes, on a lead.\n\n## Is there parking?\n\nNo.\n",
            ["Yes, on a lead.", "No."],
            id="question headings",
        ),
        pytest.param(
            "Write to [us](mailto:a@b.c) or <https://x.org>, or https://y.org/z.\n",
            ["Write to us or https://x.org, or https://y.org/z."],
            id="links",
        ),
        pytest.param("See [the map][1].\n\n[1]: https://x.org\n", ["See the map."], id="reference links"),
        pytest.param("5 \\* 3 \\_x\\_ &amp; &euro;5\n", ["5 * 3 _x_ & €5."], id="escapes"),
        pytest.param("Mon 9-5\\\nTue 9-6  \nWed closed\n", ["Mon 9-5.", "Tue 9-6.", "Wed closed."], id="hard line ends"),
        pytest.param(
            "Monday: 9:00-17:00\nTuesday: 9:00-17:00\nWednesday: closed\n",
            ["Monday: 9:00-17:00.", "Tuesday: 9:00-17:00.", "Wednesday: closed."],
            id="hours in lines",
        ),
        pytest.param(
            "Mon 9-5\nTue 9-6\nWed closed\n", ["Mon 9-5.", "Tue 9-6.", "Wed closed."], id="hours in lines, short days"
        ),
        pytest.param("Mon-Fri 9-17\nSat 10-14\n", ["Mon-Fri 9-17.", "Sat 10-14."], id="two lines of hours"),
        pytest.param(
            "- Drinks\n  - Tea 2.00\n  - Coffee 2.50\n- Food\n  - Soup 5.00\n",
            ["Drinks.", "Tea 2.00.", "Coffee 2.50.", "Food.", "Soup 5.00."],
            id="nested list",
        ),
        pytest.param(
            "1. Open the lid.\n2. Fill in water.\n3) Close it.\n",
            ["Open the lid.", "Fill in water.", "Close it."],
            id="ordered",
        ),
        pytest.param(
            "- Tea\n\n    Green or black.\n- Coffee\n",
            ["Tea.", "Green or black.", "Coffee."],
            id="indented text after a list is no code",
        ),
        pytest.param(
            ":::tip Parking\n\nPark behind the house.\n\n:::\n\n:::note\nRing twice.\n:::\n",
            ["Parking.", "Park behind the house.", "Ring twice."],
            id="docusaurus",
        ),
        pytest.param(":::warning[Wet floor]\nMind the step.\n:::\n", ["Wet floor.", "Mind the step."], id="docusaurus title"),
        pytest.param(
            '!!! note "Parking"\n\n    Park behind the house.\n\nMore.\n',
            ["Parking.", "Park behind the house.", "More."],
            id="mkdocs admonition",
        ),
        pytest.param(
            '!!! warning\n    Mind the step.\n\n??? question "Is there wifi?"\n    Yes, everywhere.\n',
            ["Mind the step.", "Yes, everywhere."],
            id="mkdocs admonition tight",
        ),
        pytest.param(
            '=== "Adults"\n\n    A ticket is 6 euros.\n\n=== "Children"\n\n    A ticket is 3 euros.\n',
            ["Adults.", "A ticket is 6 euros.", "Children.", "A ticket is 3 euros."],
            id="mkdocs tabs",
        ),
        pytest.param(
            '{{< note >}}\nRing twice.\n{{< /note >}}\n\n{{% include "x.md" %}}\n', ["Ring twice."], id="hugo shortcode"
        ),
        pytest.param(
            "* TOC\n{:toc}\n\nRing twice.\n{: .note }\n\n{% include map.html %}\n\n{% raw %}x{% endraw %}\n",
            ["Ring twice.", "x."],
            id="jekyll",
        ),
        pytest.param("Call {{ site.phone }} now. We open at nine.\n", ["Call now.", "We open at nine."], id="liquid value"),
        pytest.param("[TOC]\n\n[[toc]]\n\n[[_TOC_]]\n\nRing twice.\n", ["Ring twice."], id="toc marks"),
        pytest.param(
            "Check-in\n: From three.\n\nCheck-out\n: Until eleven.\n",
            ["Check-in: From three.", "Check-out: Until eleven."],
            id="definition list",
        ),
        pytest.param("| a\\|b | Price |\n|:--|--:|\n| x\\|y | 3 |\n", ["x|y: Price 3."], id="table in a list / pipes"),
        pytest.param("*[HTML]: Hyper Text\n\nHTML is a language.\n", ["HTML is a language."], id="abbr"),
        pytest.param(
            "# Shop\n\nRing twice.\n\n---\n\n# Hours\n\nNine to five.\n", ["Ring twice.", "Nine to five."], id="slides"
        ),
        pytest.param("> “The best cake.”\n> — Ann\n", ["“The best cake.”", "Ann."], id="quotes of persons"),
        pytest.param(
            "Bu\xadreau de\u200b change opens at\xa09\u202fa.m.\n",
            ["Bureau de change opens at 9 a.m."],
            id="soft hyphen, zero width, nbsp",
        ),
        pytest.param("The café opens at nine.\n", ["The café opens at nine."], id="decomposed accents"),
        pytest.param(
            "We open at nine.\u2028We close at five.\n", ["We open at nine.", "We close at five."], id="line separator"
        ),
        pytest.param(
            "**Q: Can I park?**\nA: Behind the house.\n\n**Q: Is there wifi?**\nA: Everywhere.\n",
            ["Behind the house.", "Everywhere."],
            id="Q and A",
        ),
        pytest.param(
            "Q: Can I park?\nA: Behind the house.\n\nQ: Is there wifi?\nA: Everywhere.\n",
            ["Behind the house.", "Everywhere."],
            id="Q and A plain",
        ),
    ],
)
def test_what_is_said(tmp_path: Path, source: str, sentences: list[str]) -> None:
    assert said(parsed(tmp_path, source, ".md")) == sentences


@pytest.mark.parametrize(
    ("source", "asked"),
    [
        pytest.param(
            "> [!faq]- Can I pay by card?\n> Yes, by Visa and Mastercard.\n", ["Can I pay by card?"], id="callout folded"
        ),
        pytest.param(
            "> [!question] Do you take dogs?\n> Small dogs only.\n", ["Do you take dogs?"], id="callout question open"
        ),
        pytest.param(
            "<details>\n<summary>Do you ship abroad?</summary>\n\nYes, to all of Europe.\n\n</details>\n\nMore text.\n",
            ["Do you ship abroad?"],
            id="details",
        ),
        pytest.param(
            "<details>\n<summary>Do you ship abroad?</summary>\n\nYes, to all of Europe.\n\n</details>\n\n<details>\n<summary><b>Can I return it?</b></summary>\n\nWithin a month.\n\n</details>\n",
            ["Do you ship abroad?", "Can I return it?"],
            id="details twice",
        ),
        pytest.param(
            "**Q: Can I park?**\nA: Behind the house.\n\n**Q: Is there wifi?**\nA: Everywhere.\n",
            ["Can I park?", "Is there wifi?"],
            id="Q and A",
        ),
        pytest.param(
            "Q: Can I park?\nA: Behind the house.\n\nQ: Is there wifi?\nA: Everywhere.\n",
            ["Can I park?", "Is there wifi?"],
            id="Q and A plain",
        ),
    ],
)
def test_questions_that_are_answered_are_asked_and_not_said(tmp_path: Path, source: str, asked: list[str]) -> None:
    assert [question for section in parsed(tmp_path, source, ".md").sections for question in section.asked] == asked


@pytest.mark.parametrize(
    ("source", "titles"),
    [
        pytest.param('## <a name="x"></a>Parking\n\nBehind the house.\n', ["Parking"], id="anchor in heading"),
        pytest.param("## Parking {#parking}\n\nBehind the house.\n", ["Parking"], id="heading id"),
        pytest.param("## Parking ##\n\nBehind the house.\n", ["Parking"], id="closed heading"),
        pytest.param("##Parking\n\nBehind the house.\n", ["Parking"], id="heading without a space"),
        pytest.param("Parking\n-------\n\nBehind the house.\n", ["Parking"], id="setext heading"),
        pytest.param(
            "**Parking**\n\nBehind the house.\n\n**Wifi**\n\nEverywhere.\n", ["Parking", "Wifi"], id="bold as heading"
        ),
        pytest.param(
            "**Parking:**\n\nBehind the house.\n\n**Wifi:**\n\nEverywhere.\n",
            ["Parking", "Wifi"],
            id="bold as heading with colon",
        ),
        pytest.param(
            "## Can I bring my dog?\n\nYes, on a lead.\n\n## Is there parking?\n\nNo.\n",
            ["Can I bring my dog?", "Is there parking?"],
            id="question headings",
        ),
    ],
)
def test_headings(tmp_path: Path, source: str, titles: list[str]) -> None:
    assert list(dict.fromkeys(section.title for section in parsed(tmp_path, source, ".md").sections)) == titles
