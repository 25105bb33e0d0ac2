"""Plain text as people write it: headings, questions, lists, rules."""
# ruff: noqa: E501 (each source stands in one line)

from pathlib import Path

import pytest

from tests.unit.documents.reading import parsed, said


@pytest.mark.parametrize(
    ("source", "sentences"),
    [
        pytest.param(
            "Parking\r\rBehind the house.\r\rWifi\r\rEverywhere.\r", ["Behind the house.", "Everywhere."], id="CR only"
        ),
        pytest.param("Parking is free.\n\x0cWifi is free.\n", ["Parking is free.", "Wifi is free."], id="form feed"),
        pytest.param(
            "Parking\n=======\nBehind the house.\n\nWifi\n----\nEverywhere.\n",
            ["Behind the house.", "Everywhere."],
            id="underlined heading",
        ),
        pytest.param("PARKING\n*******\n\nBehind the house.\n", ["Behind the house."], id="underlined heading blank"),
        pytest.param(
            "Parking is free.\n\n-----------\n\nWifi is free.\n__________\nDogs are welcome.\n* * *\nBye.\n",
            ["Parking is free.", "Wifi is free.", "Dogs are welcome.", "Bye."],
            id="rules",
        ),
        pytest.param(
            "PARKING\nBehind the house. It is free.\n\nWIFI\nEverywhere in the house.\n",
            ["Behind the house.", "It is free.", "Everywhere in the house."],
            id="capitals over text",
        ),
        pytest.param(
            "Opening hours:\nMonday to Friday 9 to 5\nSaturday 10 to 2\n\nParking:\nBehind the house.\n",
            ["Opening hours:", "Monday to Friday 9 to 5.", "Saturday 10 to 2.", "Parking:", "Behind the house."],
            id="colon over lines",
        ),
        pytest.param(
            "Q: Can I park?\nA: Behind the house.\n\nQ: Is there wifi?\nA: Everywhere.\n",
            ["Behind the house.", "Everywhere."],
            id="Q and A",
        ),
        pytest.param(
            "Q. Can I park?\nA. Behind the house.\nQ. Is there wifi?\nA. Everywhere.\n",
            ["Behind the house.", "Everywhere."],
            id="Q. and A.",
        ),
        pytest.param(
            "Question: Can I park?\nAnswer: Behind the house.\n\nQuestion: Is there wifi?\nAnswer: Everywhere.\n",
            ["Behind the house.", "Everywhere."],
            id="Question and Answer",
        ),
        pytest.param(
            "1. Can I park?\nBehind the house.\n\n2. Is there wifi?\nEverywhere.\n",
            ["Behind the house.", "Everywhere."],
            id="numbered questions",
        ),
        pytest.param(
            "Can I park?\nBehind the house.\n\nIs there wifi?\nEverywhere.\n",
            ["Behind the house.", "Everywhere."],
            id="question lines",
        ),
        pytest.param(
            "1. Parking\n\nBehind the house.\n\n2. Wifi\n\nEverywhere.\n",
            ["Behind the house.", "Everywhere."],
            id="numbered heading",
        ),
        pytest.param(
            "1.1 Parking\n\nBehind the house.\n\n1.2 Wifi\n\nEverywhere.\n",
            ["Behind the house.", "Everywhere."],
            id="numbered heading 1.1",
        ),
        pytest.param(
            "· Tea\n● Coffee\n▪ Milk\n✓ Water\n► Juice\no Beer\n» Wine\n➢ Rum\n",
            ["Tea.", "Coffee.", "Milk.", "Water.", "Juice.", "Beer.", "Wine.", "Rum."],
            id="bullets",
        ),
        pytest.param(
            "[ ] Lock the door\n[x] Feed the cat\n☐ Water the roses\n☑ Pay\n",
            ["Lock the door.", "Feed the cat.", "Water the roses.", "Pay."],
            id="check boxes",
        ),
        pytest.param(
            "Espresso\t2.20\nCappuccino\t3.10\nFlat white\t3.40\n",
            ["Espresso 2.20.", "Cappuccino 3.10.", "Flat white 3.40."],
            id="columns of tabs",
        ),
        pytest.param("Espresso - 2.20\nCappuccino – 3.10\n", ["Espresso - 2.20.", "Cappuccino – 3.10."], id="dashes between"),
        pytest.param(
            "We open at nine.\n\n-- \nAnna Berg\nBerg Ltd\n",
            ["We open at nine.", "-- Anna Berg.", "Berg Ltd."],
            id="email signature",
        ),
        pytest.param(
            "   The mill was built by the river in the year 1811 and\n   burned down twice, each time in winter.\n",
            ["The mill was built by the river in the year 1811 and burned down twice, each time in winter."],
            id="wrapped with indent",
        ),
        pytest.param("> We open at nine.\n> We close at five.\n", ["We open at nine.", "We close at five."], id="quoted mail"),
        pytest.param(
            "Anna Berg\n12 Mill Lane\nOxford OX1 2AB\n", ["Anna Berg.", "12 Mill Lane.", "Oxford OX1 2AB."], id="address"
        ),
        pytest.param(
            "Reception 555-0100\nKitchen 555-0101\nManager 555-0102\n",
            ["Reception 555-0100.", "Kitchen 555-0101.", "Manager 555-0102."],
            id="phone list",
        ),
        pytest.param(
            "Mon. - Fri. 9 a.m. - 5 p.m.\nSat. 10 a.m. - 2 p.m.\nSun. closed\n",
            ["Mon. - Fri. 9 a.m. - 5 p.m.", "Sat. 10 a.m. - 2 p.m.", "Sun. closed."],
            id="abbreviated hours",
        ),
        pytest.param(
            "The manage-\nment has moved to the second floor of the build-\ning.\n",
            ["The management has moved to the second floor of the building."],
            id="hyphenated words",
        ),
        pytest.param(
            "The room is approx. 20 sq. ft. large. It has a max. of 4 beds. See fig. 3 on p. 12. No. 5 is closed.\n",
            ["The room is approx. 20 sq. ft. large.", "It has a max. of 4 beds.", "See fig. 3 on p. 12.", "No. 5 is closed."],
            id="short forms",
        ),
        pytest.param(
            "We open at 9 a.m. We close at 5 p.m. Dogs are welcome.\n",
            ["We open at 9 a.m.", "We close at 5 p.m.", "Dogs are welcome."],
            id="a.m. before a capital",
        ),
        pytest.param(
            "# Parking\n\nBehind the **house**.\n\n## Wifi\n\n- Everywhere\n- Free\n",
            ["Behind the house.", "Everywhere.", "Free."],
            id="markdown in txt",
        ),
        pytest.param("Use the <b> tag. 3 < 4 and 5 > 4.\n", ["Use the <b> tag.", "3 < 4 and 5 > 4."], id="html in none"),
        pytest.param(
            "STARTERS\n\nSoup of the day ........... 5.50\nGarlic bread .............. 4.00\n\nMAINS\n\nSteak (200 g) ............ 18.90\nPasta al pesto ........... 11.50\n",
            ["Soup of the day: 5.50.", "Garlic bread: 4.00.", "Steak (200 g): 18.90.", "Pasta al pesto: 11.50."],
            id="menu",
        ),
        pytest.param(
            "Soup of the day\nwith bread and butter\n5.50\n\nGarlic bread\nwith herbs\n4.00\n",
            ["Soup of the day with bread and butter.", "5.50.", "Garlic bread with herbs.", "4.00."],
            id="menu with dishes described",
        ),
        pytest.param("We open\x00 at nine.\n", ["We open at nine."], id="nul bytes"),
    ],
)
def test_what_is_said(tmp_path: Path, source: str, sentences: list[str]) -> None:
    assert said(parsed(tmp_path, source, ".txt")) == sentences


@pytest.mark.parametrize(
    ("source", "asked"),
    [
        pytest.param(
            "Q: Can I park?\nA: Behind the house.\n\nQ: Is there wifi?\nA: Everywhere.\n",
            ["Can I park?", "Is there wifi?"],
            id="Q and A",
        ),
        pytest.param(
            "Q. Can I park?\nA. Behind the house.\nQ. Is there wifi?\nA. Everywhere.\n",
            ["Can I park?", "Is there wifi?"],
            id="Q. and A.",
        ),
        pytest.param(
            "Question: Can I park?\nAnswer: Behind the house.\n\nQuestion: Is there wifi?\nAnswer: Everywhere.\n",
            ["Can I park?", "Is there wifi?"],
            id="Question and Answer",
        ),
    ],
)
def test_questions_that_are_answered_are_asked_and_not_said(tmp_path: Path, source: str, asked: list[str]) -> None:
    assert [question for section in parsed(tmp_path, source, ".txt").sections for question in section.asked] == asked


@pytest.mark.parametrize(
    ("source", "titles"),
    [
        pytest.param("Parking\r\rBehind the house.\r\rWifi\r\rEverywhere.\r", ["Parking", "Wifi"], id="CR only"),
        pytest.param(
            "Parking\n=======\nBehind the house.\n\nWifi\n----\nEverywhere.\n", ["Parking", "Wifi"], id="underlined heading"
        ),
        pytest.param("PARKING\n*******\n\nBehind the house.\n", ["PARKING"], id="underlined heading blank"),
        pytest.param(
            "PARKING\nBehind the house. It is free.\n\nWIFI\nEverywhere in the house.\n",
            ["PARKING", "WIFI"],
            id="capitals over text",
        ),
        pytest.param(
            "1. Parking\n\nBehind the house.\n\n2. Wifi\n\nEverywhere.\n", ["1. Parking", "2. Wifi"], id="numbered heading"
        ),
        pytest.param(
            "1.1 Parking\n\nBehind the house.\n\n1.2 Wifi\n\nEverywhere.\n",
            ["1.1 Parking", "1.2 Wifi"],
            id="numbered heading 1.1",
        ),
        pytest.param(
            "# Parking\n\nBehind the **house**.\n\n## Wifi\n\n- Everywhere\n- Free\n", ["Parking", "Wifi"], id="markdown in txt"
        ),
        pytest.param(
            "STARTERS\n\nSoup of the day ........... 5.50\nGarlic bread .............. 4.00\n\nMAINS\n\nSteak (200 g) ............ 18.90\nPasta al pesto ........... 11.50\n",
            ["STARTERS", "MAINS"],
            id="menu",
        ),
    ],
)
def test_headings(tmp_path: Path, source: str, titles: list[str]) -> None:
    assert list(dict.fromkeys(section.title for section in parsed(tmp_path, source, ".txt").sections)) == titles


def test_a_hyphen_that_a_word_has_anyway_stays_where_a_line_ends(tmp_path: Path) -> None:
    source = "Self-service is open. The self-\nservice closes at five, the build-\ning at six. In the morning check-\nin, we check all.\n"
    assert said(parsed(tmp_path, source, ".txt")) == [
        "Self-service is open.",
        "The self-service closes at five, the building at six.",
        "In the morning check-in, we check all.",
    ]
