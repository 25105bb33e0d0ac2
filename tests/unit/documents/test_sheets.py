"""Files of comma separated values as spreadsheets write them."""

from pathlib import Path

import pytest

from tests.unit.documents.reading import parsed, said


@pytest.mark.parametrize(
    ("source", "sentences"),
    [
        pytest.param(
            "Cake;Price;Weight\nNut cake;4,20;120 g\nApple cake;3,50;100 g\n",
            ["Nut cake: Price 4,20, Weight 120 g.", "Apple cake: Price 3,50, Weight 100 g."],
            id="semicolon and decimal comma",
        ),
        pytest.param("Cake;Price\nNut cake;4,20\n", ["Nut cake: Price 4,20."], id="semicolon, one row"),
        pytest.param(
            "sep=;\nCake;Price\nNut cake;4,20\nApple;3,50\n", ["Nut cake: Price 4,20.", "Apple: Price 3,50."], id="sep line"
        ),
        pytest.param("\ufeffCake,Price\nNut cake,4\nApple,3\n", ["Nut cake: Price 4.", "Apple: Price 3."], id="BOM"),
        pytest.param(
            "Price list 2026,,\n,,\nCake,Price,Weight\nNut cake,4,120\nApple cake,3,100\n",
            ["Nut cake: Price 4, Weight 120.", "Apple cake: Price 3, Weight 100."],
            id="title row",
        ),
        pytest.param(
            "Price list 2026\nCake,Price,Weight\nNut cake,4,120\nApple cake,3,100\n",
            ["Nut cake: Price 4, Weight 120.", "Apple cake: Price 3, Weight 100."],
            id="title row short",
        ),
        pytest.param(
            "Cake,Price,Price\n,small,large\nNut cake,4,6\nApple cake,3,5\n",
            ["Nut cake: Price small 4, Price large 6.", "Apple cake: Price small 3, Price large 5."],
            id="two line header",
        ),
        pytest.param(
            ",Price,,Weight\nCake,small,large,\nNut cake,4,6,120\nApple cake,3,5,100\n",
            ["Nut cake: Price small 4, Price large 6, Weight 120.", "Apple cake: Price small 3, Price large 5, Weight 100."],
            id="two line header, spanning",
        ),
        pytest.param(
            "Cake,Price,Weight\n,EUR,g\nNut cake,4,120\nApple cake,3,100\n",
            ["Nut cake: Price EUR 4, Weight g 120.", "Apple cake: Price EUR 3, Weight g 100."],
            id="units row",
        ),
        pytest.param(
            "City,2023,2024\nOxford,10,12\nLeeds,20,22\n",
            ["Oxford: 2023 10, 2024 12.", "Leeds: 2023 20, 2024 22."],
            id="years in header",
        ),
        pytest.param(
            "Dish,Price\nStarters,\nSoup,5\nBread,3\nMains,\nSteak,18\n",
            ["Starters.", "Soup: Price 5.", "Bread: Price 3.", "Mains.", "Steak: Price 18."],
            id="section rows",
        ),
        pytest.param(
            "Cake,Price,,\nNut cake,4,,\nApple,3,,\n,,,\n", ["Nut cake: Price 4.", "Apple: Price 3."], id="trailing empties"
        ),
        pytest.param(
            ",Cake,Price\n,Nut cake,4\n,Apple,3\n", ["Nut cake: Price 4.", "Apple: Price 3."], id="empty first column"
        ),
        pytest.param(
            "No.,Cake,Price\n1,Nut cake,4\n2,Apple,3\n",
            ["1: Cake Nut cake, Price 4.", "2: Cake Apple, Price 3."],
            id="numbering column",
        ),
        pytest.param(
            'Name,Note\n"Ann ""The Boss"" Lee","Chef, baker"\nBob,Waiter\n',
            ['Ann "The Boss" Lee: Note Chef, baker.', "Bob: Note Waiter."],
            id="quotes doubled",
        ),
        pytest.param(
            "Name,Note\nAnn's cake,It's good\nBob's,That's all\n",
            ["Ann's cake: Note It's good.", "Bob's: Note That's all."],
            id="apostrophes",
        ),
        pytest.param(
            'Question,Answer\nCan I park?,"Yes, behind the house."\nIs there wifi?,"Yes, everywhere. It is free."\n',
            ["Yes, behind the house.", "Yes, everywhere.", "It is free."],
            id="faq",
        ),
        pytest.param(
            'Notes\n"We open at nine, and close at five."\nDogs are welcome\n',
            ["Notes.", "We open at nine, and close at five.", "Dogs are welcome."],
            id="commas in prose, one column",
        ),
        pytest.param(
            "Name;Text\nAnn;Likes soup, bread, and tea\nBob;Likes rum, gin, and ale\n",
            ["Ann: Text Likes soup, bread, and tea.", "Bob: Text Likes rum, gin, and ale."],
            id="prose with commas unquoted semicolons",
        ),
        pytest.param(
            "Cake\tPrice\nNut cake\t4,20\nApple\t3,50\n", ["Nut cake: Price 4,20.", "Apple: Price 3,50."], id="tabs in csv"
        ),
        pytest.param("Cake|Price\nNut cake|4\nApple|3\n", ["Nut cake: Price 4.", "Apple: Price 3."], id="pipes"),
        pytest.param("Cake | Price\nNut cake | 4\nApple | 3\n", ["Nut cake: Price 4.", "Apple: Price 3."], id="pipes spaced"),
        pytest.param(
            'Cake, Price, Note\n"Nut cake", 4, "with nuts, hazel"\nApple, 3, plain\n',
            ["Nut cake: Price 4, Note with nuts, hazel.", "Apple: Price 3, Note plain."],
            id="spaces after commas",
        ),
        pytest.param("Cake,Price\rNut cake,4\rApple,3\r", ["Nut cake: Price 4.", "Apple: Price 3."], id="CR only"),
        pytest.param(
            "Name,Role,Phone\nAnna Berg,Chef,555-0101\nBob Cole,Waiter,555-0102\n",
            ["Anna Berg: Role Chef, Phone 555-0101.", "Bob Cole: Role Waiter, Phone 555-0102."],
            id="staff",
        ),
        pytest.param(
            "Name,Role\nAnna Berg,Chef\nBob Cole,Waiter\n", ["Anna Berg: Role Chef.", "Bob Cole: Role Waiter."], id="no numbers"
        ),
        pytest.param(
            "Anna Berg,Chef,555-0101\nBob Cole,Waiter,555-0102\n",
            ["Anna Berg: Chef, 555-0101.", "Bob Cole: Waiter, 555-0102."],
            id="no header names",
        ),
        pytest.param(
            "Day,Open,Close\nMonday,9:00,17:00\nSunday,closed,\n",
            ["Monday: Open 9:00, Close 17:00.", "Sunday: Open closed."],
            id="hours",
        ),
        pytest.param(
            "# exported 2026-01-01\nCake,Price\nNut cake,4\nApple,3\n",
            ["Nut cake: Price 4.", "Apple: Price 3."],
            id="comment lines",
        ),
        pytest.param(
            '"Cake";"Price"\r\n"Nut cake";"4,20"\r\n"Apple";"3,50"\r\n',
            ["Nut cake: Price 4,20.", "Apple: Price 3,50."],
            id="quoted all",
        ),
        pytest.param(
            'Room,Text\n1,"Large.\nWith a view."\n2,"Small.\n\nNo view."\n',
            ["1: Text Large. With a view.", "2: Text Small. No view."],
            id="newlines in cells",
        ),
        pytest.param("We open at nine, and close at five.\n", ["We open at nine: and close at five."], id="single line"),
        pytest.param(
            'Cake,Note\nNut cake,6" round\nApple,8" round\n',
            ['Nut cake: Note 6" round.', 'Apple: Note 8" round.'],
            id="inches in csv",
        ),
    ],
)
def test_what_is_said(tmp_path: Path, source: str, sentences: list[str]) -> None:
    assert said(parsed(tmp_path, source, ".csv")) == sentences


@pytest.mark.parametrize(
    ("source", "asked"),
    [
        pytest.param(
            'Question,Answer\nCan I park?,"Yes, behind the house."\nIs there wifi?,"Yes, everywhere. It is free."\n',
            ["Can I park?", "Is there wifi?"],
            id="faq",
        ),
    ],
)
def test_questions_that_are_answered_are_asked_and_not_said(tmp_path: Path, source: str, asked: list[str]) -> None:
    assert [question for section in parsed(tmp_path, source, ".csv").sections for question in section.asked] == asked
