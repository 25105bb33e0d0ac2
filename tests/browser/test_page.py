"""The page in a real browser: speak, be answered, talk over it, type, and be told in words what is wrong."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest
from playwright.async_api import Page, Request, Route, expect

from tests.bench.server import Server
from tests.browser.conftest import LISTEN, SESSIONS, Browse

AUDIBLE = 0.005  # of full scale, RMS
MUTED_MS = 100  # a stop is heard within this at the player
WAIT_MS = 60_000  # generous: speed is measured elsewhere

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def start(page: Page) -> None:
    await page.click("#parley-start")
    await page.wait_for_function("() => document.documentElement.dataset.link === 'live'", timeout=WAIT_MS)
    await page.evaluate(LISTEN)


async def state(page: Page, name: str) -> None:
    await page.wait_for_function("name => document.documentElement.dataset.state === name", arg=name, timeout=WAIT_MS)


async def audible(page: Page) -> None:
    await page.wait_for_function(f"() => window.heard.slice(-5).every(([, level]) => level > {AUDIBLE})", timeout=WAIT_MS)


async def type_in(page: Page, words: str) -> None:
    await page.fill("#parley-text textarea", words)
    await page.press("#parley-text textarea", "Enter")


def stops(states: list[tuple[float, str]]) -> list[tuple[float, float]]:
    """Each time at which the agent was interrupted, and the next at which it spoke again (or never), ms."""
    spoke = [at for at, name in states if name == "SPEAKING"]
    return [(at, min((s for s in spoke if s > at), default=float("inf"))) for at, name in states if name == "INTERRUPTED"]


async def loudest_after_stops(page: Page) -> float:
    """The highest level that was heard between an interruption and the next answer."""
    await page.wait_for_timeout(2 * MUTED_MS)  # the state may be back before there is a silence to look at
    states, heard = await page.evaluate("[window.states, window.heard]")
    silences = stops(states)
    assert silences
    return max(level for at, level in heard for stop, again in silences if stop + MUTED_MS < at < again)


async def test_a_spoken_question_is_answered_and_the_answer_can_be_talked_over(
    url: str, browse: Browse, question: Path, pictures: Path
) -> None:
    async with browse(url, question) as page:
        await start(page)
        user, agent = page.locator("#parley-transcript .user"), page.locator("#parley-transcript .agent")
        await expect(user.first).to_contain_text("speaking", timeout=WAIT_MS)
        await audible(page)
        await expect(page.locator("#parley-sources li").first).to_be_visible(timeout=WAIT_MS)
        await expect(page.locator("#parley-latency svg").first).to_be_visible(timeout=WAIT_MS)
        await expect(agent.locator(".mark").last).to_be_visible(timeout=WAIT_MS)  # interrupted
        await expect(agent.locator("del").last).not_to_be_empty(timeout=WAIT_MS)  # and so not heard to its end
        await page.screenshot(path=pictures / "talked-over-1280.png", full_page=True)
        assert await loudest_after_stops(page) < AUDIBLE


async def test_typed_text_is_answered_and_the_button_silences_the_answer(url: str, browse: Browse) -> None:
    async with browse(url) as page:
        await type_in(page, "What is a barge-in?")
        await expect(page.locator("#parley-notice")).to_contain_text("Press Start")
        await start(page)
        await audible(page)  # the greeting
        await type_in(page, "What is <i>a barge-in?")
        await expect(page.locator("#parley-transcript .user")).to_contain_text("<i>a barge-in", timeout=WAIT_MS)
        await expect(page.locator("#parley-transcript .agent").last).to_contain_text("talking", timeout=WAIT_MS)
        await state(page, "SPEAKING")
        await audible(page)
        await page.click("#parley-interrupt")
        await page.wait_for_function("() => document.querySelector('#parley-device audio').muted", timeout=WAIT_MS)
        await state(page, "LISTENING")
        assert await loudest_after_stops(page) < AUDIBLE
        assert await page.locator("#parley-transcript i").count() == 0
        await page.click("#parley-stop")
        await expect(page.locator("#parley-link")).to_have_text("Not connected")


async def test_the_keyboard_alone_starts_interrupts_and_stops(url: str, browse: Browse) -> None:
    async with browse(url) as page:
        await page.focus("#parley-start")
        await page.keyboard.press("Enter")
        await page.wait_for_function("() => document.documentElement.dataset.link === 'live'", timeout=WAIT_MS)
        assert await page.evaluate("() => document.activeElement.id") == "parley-stop"
        await state(page, "SPEAKING")
        await page.keyboard.press("Escape")
        await page.wait_for_function("() => window.states.some(([, name]) => name === 'INTERRUPTED')", timeout=WAIT_MS)
        await page.keyboard.press("Space")
        await expect(page.locator("#parley-link")).to_have_text("Not connected")
        assert await page.evaluate("() => document.activeElement.id") == "parley-start"


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"consent": False}, "does not let this page use the microphone"), ({"microphone": None}, "No microphone was found")],
)
async def test_what_is_wrong_with_the_microphone_is_said_in_words(
    url: str, browse: Browse, settings: dict[str, Any], words: str
) -> None:
    async with browse(url, **settings) as page:
        await page.click("#parley-start")
        await expect(page.locator("#parley-notice")).to_contain_text(words)
        await expect(page.locator("#parley-start")).to_be_visible()


async def test_a_frame_that_gets_no_microphone_is_told_so(url: str, browse: Browse) -> None:
    async with browse(url) as page:
        await page.evaluate("""document.body.innerHTML = `<iframe id="framed" src="/" allow="microphone 'none'"></iframe>`""")
        frame = page.frame_locator("#framed")
        await frame.locator("#parley-start").click(timeout=WAIT_MS)
        await expect(frame.locator("#parley-notice")).to_contain_text("in a window of its own", timeout=WAIT_MS)


async def test_one_caller_too_many_is_told_so(url: str, browse: Browse) -> None:
    async with browse(url) as page:
        others = [await page.context.new_page() for _ in range(SESSIONS)]
        for other in others:
            await other.goto(url)
            await other.wait_for_function("() => window.parley && document.documentElement.dataset.link")
            await start(other)
        await page.click("#parley-start")
        await expect(page.locator("#parley-notice")).to_contain_text("Too many people")
        for other in others:
            await other.click("#parley-stop")
            await expect(other.locator("#parley-link")).to_have_text("Not connected")


async def lost(page: Page) -> None:
    await expect(page.locator("#parley-notice")).to_contain_text("connection was lost", timeout=WAIT_MS)


async def back(page: Page) -> None:
    await page.wait_for_function("() => document.documentElement.dataset.link === 'live'", timeout=2 * WAIT_MS)
    await expect(page.locator("#parley-notice")).to_be_empty()


SAID_MS = 2000  # after which "A barge-in" has been heard, and the page has told so


async def ask_what_was_said(page: Page) -> None:
    await type_in(page, "What did you say last?")
    await expect(page.locator("#parley-transcript .agent").last).to_contain_text("arge-in", timeout=WAIT_MS)


async def test_a_lost_connection_comes_back_to_the_same_conversation(server: Server, browse: Browse) -> None:
    async with browse(server.url) as page:
        await start(page)
        await type_in(page, "What is a barge-in?")
        await expect(page.locator("#parley-transcript .agent").last).to_contain_text("arge-in", timeout=WAIT_MS)
        await audible(page)
        os.kill(server.pid or 0, signal.SIGSTOP)
        try:
            await lost(page)
        finally:
            os.kill(server.pid or 0, signal.SIGCONT)
        await back(page)
        await ask_what_was_said(page)


async def test_a_conversation_outlives_the_server(revived: Server, browse: Browse) -> None:
    async with browse(revived.url) as page:
        await start(page)
        await type_in(page, "What is a barge-in?")
        await expect(page.locator("#parley-transcript .agent")).to_contain_text("arge-in", timeout=WAIT_MS)
        await audible(page)
        await state(page, "LISTENING")
        psutil.Process(revived.pid).children()[0].kill()
        await lost(page)
        async with page.expect_navigation(timeout=3 * WAIT_MS):  # the view needs a fresh page, the conversation does not
            pass
        await back(page)
        await ask_what_was_said(page)


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_page_fits(url: str, browse: Browse, pictures: Path, width: int, scheme: Any) -> None:
    async with browse(url) as page:
        await page.set_viewport_size({"width": width, "height": 844})
        await page.emulate_media(color_scheme=scheme)
        await page.reload()
        await start(page)
        await expect(page.locator("#parley-transcript .agent")).to_be_visible(timeout=WAIT_MS)
        assert await page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")
        await page.screenshot(path=pictures / f"{scheme}-{width}.png", full_page=True)
        await page.click("#parley-stop")
        await expect(page.locator("#parley-link")).to_have_text("Not connected")


async def test_nothing_is_loaded_from_elsewhere(url: str, browse: Browse) -> None:
    async with browse(url) as page:
        requests: list[Request] = []
        page.on("request", lambda request: requests.append(request))
        await page.reload()
        await start(page)
        elsewhere = [request for request in requests if not request.url.startswith((url, "data:", "blob:"))]
        assert not [request.url for request in elsewhere if request.failure != "csp"]  # held back by the page itself


async def test_the_page_works_under_a_prefix(mounted_url: str, browse: Browse) -> None:
    async with browse(mounted_url) as page:
        await start(page)
        await type_in(page, "What is a barge-in?")
        await audible(page)


# A frame whose cookies are blocked: whoever only looks at the storage gets a SecurityError.
NO_STORAGE = """
for (const name of ["sessionStorage", "localStorage"]) {
  Object.defineProperty(window, name, { get() { throw new DOMException("The operation is insecure.", "SecurityError"); } });
}
"""
# Keeps the microphone's track where a test finds it.
MICROPHONE = """
const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = async (wishes) => {
  const stream = await open(wishes);
  window.microphone = stream.getAudioTracks()[0];
  return stream;
};
"""


async def test_a_page_that_may_keep_nothing_works(url: str, browse: Browse) -> None:
    async with browse(url, script=NO_STORAGE) as page:
        await start(page)
        await type_in(page, "What is a barge-in?")
        await expect(page.locator("#parley-transcript .agent").last).to_contain_text("arge-in", timeout=WAIT_MS)
        await page.click("#parley-stop")
        await expect(page.locator("#parley-link")).to_have_text("Not connected")


async def test_a_microphone_that_is_gone_is_noticed_and_the_conversation_kept(url: str, browse: Browse, pictures: Path) -> None:
    async with browse(url, script=MICROPHONE) as page:
        await start(page)
        await type_in(page, "What is a barge-in?")
        await expect(page.locator("#parley-transcript .agent").last).to_contain_text("arge-in", timeout=WAIT_MS)
        await audible(page)
        await page.wait_for_timeout(SAID_MS)
        await page.evaluate("window.microphone.dispatchEvent(new Event('ended'))")
        await expect(page.locator("#parley-notice")).to_contain_text("microphone is gone")
        await expect(page.locator("#parley-start")).to_be_visible()
        for width in (390, 1280):
            await page.set_viewport_size({"width": width, "height": 844})
            await page.screenshot(path=pictures / f"unplugged-{width}.png", full_page=True)
        await start(page)
        await expect(page.locator("#parley-notice")).to_be_empty()
        await ask_what_was_said(page)
        await page.evaluate("window.microphone.dispatchEvent(new Event('mute'))")
        await expect(page.locator("#parley-notice")).to_contain_text("gives no sound")
        await page.evaluate("window.microphone.dispatchEvent(new Event('unmute'))")
        await expect(page.locator("#parley-notice")).to_be_empty()


async def test_the_page_works_behind_a_proxy_that_strips_a_prefix(proxied_url: str, browse: Browse) -> None:
    async with browse(proxied_url) as page:
        await start(page)
        await type_in(page, "What is a barge-in?")
        await audible(page)
        await expect(page.locator("#parley-transcript .agent").last).to_contain_text("arge-in", timeout=WAIT_MS)
        await page.click("#parley-stop")
        await expect(page.locator("#parley-link")).to_have_text("Not connected")


# A clock that is two hours ahead of the server's: the time to live of a conversation is one.
FAST_CLOCK = """
const True = Date;
window.Date = class extends True {
  constructor(...given) { super(...(given.length ? given : [True.now() + 7.2e6])); }
  static now() { return True.now() + 7.2e6; }
};
"""


async def test_a_clock_that_is_wrong_loses_no_conversation(url: str, browse: Browse) -> None:
    async with browse(url, script=FAST_CLOCK) as page:
        await start(page)
        await type_in(page, "What is a barge-in?")
        await expect(page.locator("#parley-transcript .agent").last).to_contain_text("arge-in", timeout=WAIT_MS)
        await audible(page)
        await page.reload()
        await expect(page.locator("#parley-notice")).to_contain_text("Your conversation is kept")
        await start(page)
        await ask_what_was_said(page)


async def test_a_network_that_is_back_is_used_at_once(url: str, browse: Browse) -> None:
    async with browse(url, script=CHANNELS) as page:
        await start(page)
        await page.context.set_offline(True)
        await page.evaluate("window.channels.at(-1).close()")
        for _ in range(4):
            await page.wait_for_event("requestfailed", lambda request: request.url.endswith("/readyz"), timeout=WAIT_MS)
        async with page.expect_request("**/readyz", timeout=2000):  # the next try by itself is 3 s away at least
            await page.context.set_offline(False)
        await back(page)


# Keeps the data channels where a test finds them.
CHANNELS = """
window.channels = [];
const create = RTCPeerConnection.prototype.createDataChannel;
RTCPeerConnection.prototype.createDataChannel = function (...given) {
  const channel = create.apply(this, given);
  window.channels.push(channel);
  return channel;
};
"""


# The user thinks about the microphone until a test lets go.
THINKING = """
if (navigator.mediaDevices) {
  const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  const thinking = new Promise((done) => (window.consent = done));
  navigator.mediaDevices.getUserMedia = async (wishes) => {
    await thinking;
    return ask(wishes);
  };
}
"""


async def test_who_stops_while_the_browser_asks_for_the_microphone_is_not_connected(url: str, browse: Browse) -> None:
    async with browse(url, script=THINKING) as page:
        await page.click("#parley-start")
        await page.click("#parley-stop")
        await page.evaluate("() => window.consent()")
        await page.wait_for_timeout(4000)
        await expect(page.locator("#parley-link")).to_have_text("Not connected")
        await expect(page.locator("#parley-notice")).to_be_empty()
        await start(page)


async def test_start_stop_and_start_again_on_a_slow_network_is_one_start(url: str, browse: Browse) -> None:
    async with browse(url) as page:

        async def slow(route: Route) -> None:
            await asyncio.sleep(2)
            await route.continue_()

        await page.route("**/sessions", slow)
        for button in ("start", "stop", "start"):
            await page.click(f"#parley-{button}")
        await page.wait_for_function("() => document.documentElement.dataset.link === 'live'", timeout=WAIT_MS)
        await page.wait_for_timeout(3000)
        await expect(page.locator("#parley-link")).to_have_text("Connected")


async def test_who_takes_the_microphone_away_is_told_how_to_give_it_back(url: str, browse: Browse) -> None:
    async with browse(url, script=MICROPHONE) as page:
        await start(page)
        await page.evaluate(
            """() => {
              navigator.permissions.query = async () => ({ state: "denied" });
              window.microphone.dispatchEvent(new Event("ended"));
            }"""
        )
        await expect(page.locator("#parley-notice")).to_contain_text("Allow it in the address bar")
        await expect(page.locator("#parley-start")).to_be_visible()


async def test_a_conversation_that_is_gone_when_it_is_to_go_on_is_told(url: str, browse: Browse) -> None:
    async with browse(url) as page:
        await start(page)
        await type_in(page, "What is a barge-in?")
        await expect(page.locator("#parley-transcript .agent").last).to_contain_text("arge-in", timeout=WAIT_MS)
        await page.reload()
        await expect(page.locator("#parley-notice")).to_contain_text("Your conversation is kept")
        await page.evaluate(
            """() => {
              const { session_id, token } = JSON.parse(sessionStorage.getItem("parley-session"));
              return fetch(`sessions/${session_id}`, { method: "DELETE", headers: { Authorization: `Bearer ${token}` } });
            }"""
        )
        await start(page)
        await expect(page.locator("#parley-notice")).to_contain_text("This is a new one")


async def test_what_was_typed_on_a_dead_line_is_not_lost_to_a_reload(url: str, browse: Browse) -> None:
    async with browse(url, script=CHANNELS) as page:
        await start(page)
        await page.evaluate("window.channels.at(-1).send = () => {}")
        await type_in(page, "What is a barge-in?")
        await expect(page.locator("#parley-text textarea")).to_be_empty()
        await page.reload()
        await start(page)
        await expect(page.locator("#parley-transcript .user").last).to_contain_text("What is a barge-in?", timeout=WAIT_MS)


async def test_a_fault_that_is_over_is_not_told_any_more(url: str, browse: Browse) -> None:
    async with browse(url) as page:
        await start(page)
        for number in range(12):  # more than are taken at once
            await page.evaluate("words => window.parley.say(words)", f"Number {number}")
        await expect(page.locator("#parley-notice")).to_contain_text("are not taken")
        await page.wait_for_timeout(2000)
        await type_in(page, "What is a barge-in?")
        await expect(page.locator("#parley-transcript .user").last).to_contain_text("barge-in", timeout=WAIT_MS)
        await expect(page.locator("#parley-notice")).to_be_empty()
