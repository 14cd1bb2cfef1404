"""The page in a real browser: headless Chromium, a real call, and an engine whose every sound is known."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

pytest.importorskip("aiohttp")
pytest.importorskip("aiortc")
pytest.importorskip("playwright")

import aioice.ice
from playwright.async_api import Browser, Page, async_playwright
from rtc_caller import ToneWorker
from serving import Served, run, served, until

from voicestack.realtime.serve.guard import Policy

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
]
FLAGS = [
    "--no-sandbox",  # the tests may run as root
    "--disable-gpu",
    "--no-first-run",
    "--autoplay-policy=no-user-gesture-required",
    # A machine without a network has no address but its own.
    "--disable-features=WebRtcHideLocalIpsWithMdns",
    "--allow-loopback-in-peer-connection",
]
TOKEN = "a-token-of-many-letters"
RECORD = """() => {
  window.levels = [];
  window.recording = setInterval(() => window.levels.push([performance.now(), voicestack.level().rms]), 5);
}"""
LOUD = 0.02


@pytest.fixture(autouse=True)
def _loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"])


@asynccontextmanager
async def browsing(**options: Any) -> AsyncIterator[tuple[Served, Browser]]:
    async with served(ToneWorker(), **options) as server, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            yield server, browser
        finally:
            await browser.close()


async def open_page(server: Served, browser: Browser, **options: Any) -> tuple[Page, list[str]]:
    """The page, and what goes wrong on it."""
    page = await browser.new_page(**options)
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    await page.goto(server.url)
    return page, faults


async def speak(page: Page, text: str) -> None:
    await page.fill("#text", text)
    await page.keyboard.press("Enter")


async def state(page: Page, wanted: str) -> None:
    await page.wait_for_selector(f"#state[data-state={wanted}]")


async def loud_spans(page: Page) -> list[tuple[float, float]]:
    """When there was sound, in milliseconds since the recording began; pauses below 100 ms are none."""
    levels: list[tuple[float, float]] = await page.evaluate("() => window.levels")
    spans: list[tuple[float, float]] = []
    for at, loudness in levels:
        if loudness < LOUD:
            continue
        if spans and at - spans[-1][1] < 100:
            spans[-1] = (spans[-1][0], at)
        else:
            spans.append((at, at))
    return spans


@run
async def test_text_is_heard_in_the_browser_at_its_times_and_words_light_up() -> None:
    """Two stretches of sound with a pause between them, as long as they were made; nothing is asked for before."""
    async with browsing() as (server, browser):
        page, faults = await open_page(server, browser)
        await asyncio.sleep(0.3)
        assert server.voice.sessions == 0
        await page.evaluate(RECORD)
        await speak(page, "a" * 12 + " " * 8 + "b" * 10)
        await page.wait_for_selector(".word.now")
        await page.wait_for_selector(".said .fate")
        first, second = await loud_spans(page)
        assert first[1] - first[0] == pytest.approx(12 * 80, abs=120)
        assert second[0] - first[1] == pytest.approx(8 * 80, abs=120)
        assert second[1] - second[0] == pytest.approx(10 * 80, abs=120)
        assert await page.locator(".word.heard").count() == 2
        assert await page.locator("#ear").inner_text() != "–"
        assert await page.locator("#underruns").inner_text() == "0"
        report = await page.evaluate(
            "async () => { await voicestack.call.bufferMs(); return voicestack.call.inbound; }"
        )
        assert report["packetsLost"] == 0
        assert faults == []


@run
async def test_a_key_silences_it_and_the_next_text_is_heard() -> None:
    """The browser is silent at once, the server soon after; what was not heard is struck out."""
    async with browsing() as (server, browser):
        page, faults = await open_page(server, browser)
        await page.evaluate(RECORD)
        await speak(page, "first second third " + "z" * 60)
        await page.wait_for_selector(".word.heard")
        await asyncio.sleep(0.5)
        await page.keyboard.press("Escape")
        assert await page.evaluate("() => document.getElementById('audio').muted")
        interrupted = await page.evaluate("() => performance.now()")
        await page.wait_for_selector(".said.cut .fate")
        await asyncio.sleep(0.6)
        assert (await loud_spans(page))[-1][1] - interrupted < 400
        assert 0 < await page.locator(".word.heard").count() < 4
        await speak(page, "b" * 8)
        await page.wait_for_selector(".said:not(.cut) .fate")
        assert not await page.evaluate("() => document.getElementById('audio').muted")
        assert (await loud_spans(page))[-1][0] > interrupted
        assert faults == []


@run
async def test_the_assistant_is_heard_while_it_still_writes() -> None:
    """Its words appear piece by piece, and the first is heard before the last is there."""
    async with browsing() as (server, browser):
        page, faults = await open_page(server, browser)
        await page.click("text=Talk to an assistant")
        await speak(page, "Who are you?")
        await page.wait_for_selector(".word.heard")
        early = len(await page.locator(".spoken").inner_text())
        await asyncio.sleep(1)
        assert len(await page.locator(".spoken").inner_text()) > early
        await page.click("#interrupt")
        await page.wait_for_selector(".said.cut")
        assert faults == []


@run
async def test_a_lost_call_comes_back_by_itself() -> None:
    """And what is said next is heard."""
    async with browsing() as (server, browser):
        page, faults = await open_page(server, browser)
        await speak(page, "a" * 8)
        await page.wait_for_selector(".said .fate")
        await page.evaluate("() => voicestack.call.breakOff()")
        await until(lambda: server.voice.sessions == 0)
        await state(page, "connected")
        await speak(page, "b" * 8)
        await page.wait_for_selector(".said:nth-of-type(2) .fate")
        assert await page.locator(".said:nth-of-type(2) .heard").count() == 1
        assert faults == []


@run
async def test_two_tabs_have_two_calls() -> None:
    """Each hears its own, and one that is closed is gone at once."""
    async with browsing() as (server, browser):
        (one, _), (two, _) = await open_page(server, browser), await open_page(server, browser)
        for page in (one, two):
            await page.evaluate(RECORD)
            await page.click("#state")
            await state(page, "connected")
        assert server.voice.sessions == 2
        await speak(one, "a" * 12)
        await one.wait_for_selector(".said .fate")
        assert await loud_spans(one)
        assert not await loud_spans(two)
        await one.close(run_before_unload=True)
        await until(lambda: server.voice.sessions == 1)
        await speak(two, "b" * 8)
        await two.wait_for_selector(".said .fate")


@run
async def test_a_server_that_wants_a_token_is_given_one() -> None:
    """The field appears when it is needed, and goes away when it was right."""
    async with browsing(policy=Policy(token=TOKEN)) as (server, browser):
        page, _ = await open_page(server, browser)
        assert await page.locator("#token-form").is_hidden()
        await page.click("#state")
        await page.fill("#token", "another-token-than-that")
        await page.keyboard.press("Enter")
        await page.wait_for_selector("text=not the right one")
        await page.fill("#token", TOKEN)
        await page.keyboard.press("Enter")
        await state(page, "connected")
        assert await page.locator("#token-form").is_hidden()


@run
async def test_the_slider_changes_what_is_drawn_and_heard() -> None:
    """By the keyboard, too; screen readers are told how many of how many."""
    async with browsing() as (server, browser):
        page, faults = await open_page(server, browser)
        await page.click("#state")
        await state(page, "connected")
        await page.focus("#depth")
        await page.keyboard.press("Home")
        assert await page.get_attribute("#depth", "aria-valuetext") == "1 of 32 layers"
        await page.evaluate("""() => {
          const slider = document.getElementById("depth");
          slider.value = 8;
          slider.dispatchEvent(new Event("input"));
        }""")
        await speak(page, "a" * 10)
        await page.wait_for_selector(".said .fate")
        assert (await page.locator("#played-depth").inner_text()).startswith("8")
        assert faults == []


@run
async def test_it_fits_a_phone_and_every_control_has_a_name() -> None:
    """No scrolling sideways at 360 pixels, nothing too small for a thumb, everything reached by Tab in order."""
    async with browsing() as (server, browser):
        page, faults = await open_page(server, browser, viewport={"width": 360, "height": 780})
        assert await page.evaluate("() => document.documentElement.scrollWidth") <= 360
        unnamed = await page.evaluate("""() => [...document.querySelectorAll("button, input, textarea")]
          .filter((each) => !each.labels?.length && !each.textContent.trim()).map((each) => each.id)""")
        assert unnamed == []
        small = await page.evaluate("""() => [...document.querySelectorAll("button, textarea")]
          .filter((each) => each.offsetParent && each.getBoundingClientRect().height < 44).map((each) => each.id)""")
        assert small == []
        reached = []
        for _ in range(7):
            await page.keyboard.press("Tab")
            reached.append(
                await page.evaluate("() => document.activeElement.id || document.activeElement.name || 'try'")
            )
        assert reached == ["state", "stage", "try", "try", "mode", "text", "speak"]
        assert faults == []


@run
async def test_who_hangs_up_before_there_is_an_answer_can_call_again_at_once() -> None:
    """A call that was given up is not waited for."""
    async with browsing() as (server, browser):
        page, faults = await open_page(server, browser)
        # A server that never answers.
        await page.evaluate("""() => {
          window.answered = window.fetch;
          window.fetch = (url, { signal }) =>
            new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
        }""")
        await page.click("#state")
        await state(page, "connecting")
        await asyncio.sleep(0.5)
        await page.click("#state")
        await state(page, "idle")
        await page.evaluate("() => { window.fetch = window.answered; }")
        await page.click("#state")
        await page.wait_for_selector("#state[data-state=connected]", timeout=6000)
        assert server.voice.sessions == 1
        assert faults == []
