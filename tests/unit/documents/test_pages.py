"""Web pages as browsers, offices and sites write them."""
# ruff: noqa: E501 (each source stands in one line)

from pathlib import Path

import pytest

from tests.unit.documents.reading import parsed, said


@pytest.mark.parametrize(
    ("source", "sentences"),
    [
        pytest.param(
            "<header><h1>The shop</h1><p>Baked by hand.</p></header><main><p>We open at nine.</p></main>",
            ["Baked by hand.", "We open at nine."],
            id="header",
        ),
        pytest.param(
            "<div role=navigation><a>Home</a></div><ul class=menu role=menubar><li>About</li></ul><p>We open at nine.</p>",
            ["We open at nine."],
            id="role navigation",
        ),
        pytest.param(
            "<p>We open at nine.</p><button>Read more</button><select><option>One</option><option>Two</option></select><label>Name</label><input value=x><textarea>y</textarea>",
            ["We open at nine.", "Name."],
            id="buttons and forms",
        ),
        pytest.param(
            "<video>Your browser does not support video.</video><audio>No audio.</audio><canvas>No canvas.</canvas><object>No object.</object><iframe>No frames.</iframe><p>We open at nine.</p>",
            ["We open at nine."],
            id="media fallback",
        ),
        pytest.param(
            "<figure><img src=x alt='A map'><figcaption>The garden in June</figcaption></figure><p>Roses grow.</p>",
            ["The garden in June.", "Roses grow."],
            id="figure",
        ),
        pytest.param("<address>12 Mill Lane<br>Oxford</address>", ["12 Mill Lane.", "Oxford."], id="address"),
        pytest.param(
            "<p>A room is <s>€80</s> €60, a bed <del>€30</del> <ins>€20</ins>, a tent <strike>9</strike> 8.</p>",
            ["A room is €60, a bed €20, a tent 8."],
            id="old price",
        ),
        pytest.param(
            "<div id=cookie-banner class='cookie-consent'><p>We use cookies.</p><button>Accept</button></div><p>We open at nine.</p>",
            ["We use cookies.", "We open at nine."],
            id="cookie banner",
        ),
        pytest.param(
            "<a class='skip-link' href='#main'>Skip to content</a><main id=main><p>We open at nine.</p></main>",
            ["Skip to content.", "We open at nine."],
            id="skip link",
        ),
        pytest.param("<dialog><p>Subscribe!</p></dialog><p>We open at nine.</p>", ["We open at nine."], id="dialog closed"),
        pytest.param(
            "<p>We open at nine.</p><footer><p>Call 555-0100.</p></footer>", ["We open at nine."], id="footer with contact"
        ),
        pytest.param("<p>We open at nine.</p><aside><p>Ring twice after six.</p></aside>", ["We open at nine."], id="aside"),
        pytest.param(
            "<form id=aspnetForm action=x><div><h1>Shop</h1><p>We open at nine.</p></div></form>",
            ["We open at nine."],
            id="form wraps page (asp.net)",
        ),
        pytest.param(
            "<html><head><title>Shop</title></head><body><p class='title'><span>The shop</span></p><h1 id=h.x><span>Parking</span></h1><p><span>Behind the house.</span><sup><a href='#ftnt1' id='ftnt_ref1'>[1]</a></sup></p><hr><div><p><a href='#ftnt_ref1' id='ftnt1'>[1]</a><span>&nbsp;Not on Mondays.</span></p></div></body></html>",
            ["The shop.", "Behind the house.", "Not on Mondays."],
            id="google docs html",
        ),
        pytest.param(
            "<p>The mill burned in 1811.<sup class=reference><a href=#c1>[1]</a></sup><sup>[citation needed]</sup> It stands.</p><p>Area 5 m<sup>2</sup>.</p>",
            ["The mill burned in 1811.", "It stands.", "Area 5 m²."],
            id="wikipedia refs",
        ),
        pytest.param(
            "<h2><span class=mw-headline>Parking</span><span class='mw-editsection'>[<a>edit</a>]</span></h2><p>Behind the house.</p>",
            ["Behind the house."],
            id="edit links",
        ),
        pytest.param(
            "<h2>Parking<a class='headerlink' href='#parking' title='Permalink'>¶</a></h2><p>Behind.</p><h2><a class=anchor aria-hidden=true href=#w>#</a>Wifi</h2><p>Everywhere.</p>",
            ["Behind.", "Everywhere."],
            id="permalink",
        ),
        pytest.param(
            "<p><strong>Parking</strong></p><p>Behind the house.</p><p><b>Wifi:</b></p><p>Everywhere.</p>",
            ["Behind the house.", "Everywhere."],
            id="bold as heading",
        ),
        pytest.param(
            "<p><b>Parking:</b> Behind the house.</p><p><b>Wifi:</b> Everywhere.</p>",
            ["Parking: Behind the house.", "Wifi: Everywhere."],
            id="bold run-in",
        ),
        pytest.param("<h3>Can I park?</h3><p>Behind the house.</p>", ["Behind the house."], id="faq headings"),
        pytest.param(
            "<dl><dt>Can I park?</dt><dd>Behind the house.</dd><dt>Is there wifi?</dt><dd>Everywhere.</dd></dl>",
            ["Behind the house.", "Everywhere."],
            id="faq dl",
        ),
        pytest.param(
            "<dl><dt>Monday</dt><dd>9 to 12</dd><dd>14 to 18</dd></dl>",
            ["Monday: 9 to 12.", "Monday: 14 to 18."],
            id="dl with two dd",
        ),
        pytest.param(
            "<dl><div><dt>Monday</dt><dd>9 to 12</dd></div><div><dt>Sunday</dt><dd>closed</dd></div></dl>",
            ["Monday: 9 to 12.", "Sunday: closed."],
            id="dl div",
        ),
        pytest.param("<dl><dt>Saturday</dt><dt>Sunday</dt><dd>closed</dd></dl>", ["Saturday, Sunday: closed."], id="dl two dt"),
        pytest.param(
            "<div>The mill was built by the river in 1811<br><br>It burned down twice</div>",
            ["The mill was built by the river in 1811.", "It burned down twice."],
            id="br br paragraphs",
        ),
        pytest.param(
            "<center><font size=5><b>Parking</b></font></center><font size=2>Behind the house.</font>",
            ["Parking.", "Behind the house."],
            id="font soup",
        ),
        pytest.param(
            "<p>Don&shy;au&shy;dampf&shy;schiff fares: &euro;&nbsp;5.</p><p>a&#8203;b<wbr>c</p>",
            ["Donaudampfschiff fares: € 5.", "abc."],
            id="soft hyphens",
        ),
        pytest.param("<p>The oﬃce cán open.</p>", ["The office cán open."], id="ligature, decomposed"),
        pytest.param(
            "<ul><li>Monday <span>9-5</span></li><li>Tuesday<span> 9-6</span></li></ul>",
            ["Monday 9-5.", "Tuesday 9-6."],
            id="hours list",
        ),
        pytest.param(
            "<div class=row><span>Espresso</span><span>2.20</span></div><div class=row><span>Tea</span><span>1.90</span></div>",
            ["Espresso 2.20.", "Tea 1.90."],
            id="spans glued by css",
        ),
        pytest.param(
            "<p><span>E</span>spresso <span>c</span>osts 2.</p>", ["Espresso costs 2."], id="words of letters in spans"
        ),
        pytest.param(
            "<div><div>Espresso</div><div>2.20</div></div><div><div>Tea</div><div>1.90</div></div>",
            ["Espresso.", "2.20.", "Tea.", "1.90."],
            id="divs as table",
        ),
        pytest.param(
            "<div itemscope><span itemprop=name>Shop</span> <meta itemprop=x content=y><time datetime='2024-01-01'>Jan 1</time></div>",
            ["Shop Jan 1."],
            id="schema microdata",
        ),
        pytest.param(
            "<title>Opening hours | The shop</title><p>We open at nine.</p>", ["We open at nine."], id="title with site name"
        ),
        pytest.param("<p>Fish &amp; chips &copy 2024 &lt;5</p>", ["Fish & chips © 2024 <5."], id="entities broken"),
        pytest.param("<h1>Shop</h1><p>One.</p><h1>Hours</h1><p>Two.</p>", ["One.", "Two."], id="h1 twice"),
        pytest.param("<h2>Opening<br>hours</h2><p>Nine.</p>", ["Nine."], id="heading with br"),
        pytest.param("<h2></h2><h2>&nbsp;</h2><p>Nine.</p>", ["Nine."], id="heading empty"),
        pytest.param(
            "<div>Open<div>nine<div>five</div></div>daily</div>",
            ["Open.", "nine.", "five.", "daily."],
            id="nested divs with text",
        ),
        pytest.param(
            "<h2>Parking</h2><blockquote>Can I park?</blockquote><p>Yes.</p>", ["Can I park?", "Yes."], id="blockquote question"
        ),
        pytest.param(
            "<details><summary><h3>Can I park?</h3></summary><p>Behind.</p></details>", ["Behind."], id="details open h3"
        ),
        pytest.param(
            "<div class=accordion><h3><button aria-expanded=false>Can I park?</button></h3><div><p>Behind the house.</p></div></div>",
            ["Behind the house."],
            id="accordion buttons",
        ),
        pytest.param(
            "<button class=acc>Can I park?</button><div class=panel><p>Behind the house.</p></div>",
            ["Behind the house."],
            id="accordion button only",
        ),
        pytest.param(
            "<ul><li><a href=a>Home</a></li><li><a href=b>Rooms</a></li></ul><p>We open at nine.</p>",
            ["Home.", "Rooms.", "We open at nine."],
            id="list of links nav",
        ),
        pytest.param("<p>x<math><mi>a</mi></math> ok.</p>", ["x.", "a.", "ok."], id="ruby, math"),
        pytest.param("We open at nine.", ["We open at nine."], id="only body text"),
        pytest.param("<frameset cols=20%><frame src=a><noframes>No frames.</noframes></frameset>", [], id="frameset"),
    ],
)
def test_what_is_said(tmp_path: Path, source: str, sentences: list[str]) -> None:
    assert said(parsed(tmp_path, source, ".html")) == sentences


@pytest.mark.parametrize(
    ("source", "asked"),
    [
        pytest.param(
            "<dl><dt>Can I park?</dt><dd>Behind the house.</dd><dt>Is there wifi?</dt><dd>Everywhere.</dd></dl>",
            ["Can I park?", "Is there wifi?"],
            id="faq dl",
        ),
    ],
)
def test_questions_that_are_answered_are_asked_and_not_said(tmp_path: Path, source: str, asked: list[str]) -> None:
    assert [question for section in parsed(tmp_path, source, ".html").sections for question in section.asked] == asked


@pytest.mark.parametrize(
    ("source", "titles"),
    [
        pytest.param(
            "<h2><span class=mw-headline>Parking</span><span class='mw-editsection'>[<a>edit</a>]</span></h2><p>Behind the house.</p>",
            ["Parking"],
            id="edit links",
        ),
        pytest.param(
            "<h2>Parking<a class='headerlink' href='#parking' title='Permalink'>¶</a></h2><p>Behind.</p><h2><a class=anchor aria-hidden=true href=#w>#</a>Wifi</h2><p>Everywhere.</p>",
            ["Parking", "Wifi"],
            id="permalink",
        ),
        pytest.param(
            "<p><strong>Parking</strong></p><p>Behind the house.</p><p><b>Wifi:</b></p><p>Everywhere.</p>",
            ["Parking", "Wifi"],
            id="bold as heading",
        ),
        pytest.param("<h3>Can I park?</h3><p>Behind the house.</p>", ["Can I park?"], id="faq headings"),
        pytest.param("<h1>Shop</h1><p>One.</p><h1>Hours</h1><p>Two.</p>", ["Shop", "Hours"], id="h1 twice"),
        pytest.param("<h2>Opening<br>hours</h2><p>Nine.</p>", ["Opening hours"], id="heading with br"),
        pytest.param(
            "<div class=accordion><h3><button aria-expanded=false>Can I park?</button></h3><div><p>Behind the house.</p></div></div>",
            ["Can I park?"],
            id="accordion buttons",
        ),
    ],
)
def test_headings(tmp_path: Path, source: str, titles: list[str]) -> None:
    assert list(dict.fromkeys(section.title for section in parsed(tmp_path, source, ".html").sections)) == titles
