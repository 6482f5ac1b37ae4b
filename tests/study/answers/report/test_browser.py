"""The page in a real browser: quiet, closed, and usable by mouse, keyboard, on a phone and in the dark."""

import json
import shutil

import pytest

from study.answers.report import chapters, write_page

pytestmark = pytest.mark.slow

webdriver = pytest.importorskip("selenium.webdriver")
WebDriverWait = pytest.importorskip("selenium.webdriver.support.wait").WebDriverWait
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
QUIET = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update", "--window-size=1200,900"]  # fmt: skip
PHONE = {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if not (CHROMIUM and DRIVER):
        pytest.skip("chromium and chromedriver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in (*QUIET, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def page(folder, tmp_path_factory):
    return write_page(chapters([folder]), tmp_path_factory.mktemp("page") / "page.html").as_uri()


@pytest.fixture
def shown(browser, page):
    """The page of the made-up study, just opened."""
    browser.get("about:blank")
    browser.get_log("browser")
    browser.get_log("performance")
    browser.get(page)
    return browser


def visible(browser):
    return browser.execute_script(
        "return [...document.querySelectorAll('.panel:not([hidden])')]"
        ".map(p => [p.dataset.label, p.dataset.dimension, p.querySelector('.source[data-source=prior] img').src])"
    )


def press(browser, selector, *keys):
    element = browser.find_element("css selector", selector)
    element.send_keys(*keys)


def test_it_is_quiet_and_asks_for_nothing(shown):
    requests = [json.loads(entry["message"])["message"] for entry in shown.get_log("performance")]
    urls = {r["params"]["request"]["url"] for r in requests if r["method"] == "Network.requestWillBeSent"}
    assert {url for url in urls if not url.startswith(("file:", "data:"))} == set()
    assert shown.get_log("browser") == []


def test_one_panel_is_shown_and_the_slider_changes_its_images(shown):
    ((label, dimension, before),) = visible(shown)
    assert (label, dimension) == ("standard_normal", "32")
    press(shown, "input[type=range]", webdriver.Keys.ARROW_LEFT)
    ((label, dimension, after),) = visible(shown)
    assert (label, dimension) == ("standard_normal", "2")
    assert after != before
    more = shown.find_element("css selector", ".step:last-of-type")
    shown.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", more)
    more.click()
    assert visible(shown) == [["standard_normal", "32", before]]


def test_the_label_is_chosen_by_keyboard_alone_and_focus_is_seen(shown):
    for _ in range(30):
        shown.switch_to.active_element.send_keys(webdriver.Keys.TAB)
        if shown.switch_to.active_element.get_attribute("type") == "radio":
            break
    outline = "return getComputedStyle(document.activeElement.nextElementSibling).outlineStyle"
    assert shown.execute_script(outline) == "solid"
    shown.switch_to.active_element.send_keys(webdriver.Keys.ARROW_RIGHT)
    ((label, _, _),) = visible(shown)
    assert label == "vamp"


def test_the_filter_keeps_the_lines_that_hold_every_word(shown):
    press(shown, "input[type=search]", "KL 32")
    WebDriverWait(shown, 5).until(lambda b: b.find_element("css selector", ".numbers [role=status]").text)
    rows = shown.execute_script(
        "return [...document.querySelectorAll('.numbers tbody tr:not([hidden])')].map(r => r.textContent.toLowerCase())"
    )
    assert rows
    assert all("kl" in row and "32" in row for row in rows)


def test_pictures_are_drawn_and_keep_their_shape(shown):
    assert shown.execute_script(
        "return [...document.querySelectorAll('img')].every(i => i.complete && i.naturalWidth > 0 && i.alt"
        " && i.hasAttribute('width') && i.hasAttribute('height'))"
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_nothing_scrolls_sideways_in_either_scheme(shown, scheme):
    shown.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE)
    feature = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    shown.execute_cdp_cmd("Emulation.setEmulatedMedia", feature)
    try:
        assert shown.execute_script("return document.documentElement.scrollWidth") <= 360
        ink, paper = shown.execute_script(
            "const s = getComputedStyle(document.body); return [s.color, s.backgroundColor]"
        )
        assert (lightness(ink) > lightness(paper)) == (scheme == "dark")
    finally:
        shown.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        shown.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


@pytest.mark.parametrize(("width", "height"), [(1280, 900), (390, 844)])
def test_the_first_screen_has_the_whole_strip_and_the_sentence(shown, width, height):
    screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    shown.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    try:
        boxes = shown.execute_script(
            "return [...document.querySelectorAll('.strip figure, .seen')].map(e => e.getBoundingClientRect())"
            ".map(b => [b.left, b.top, b.right, b.bottom])"
        )
        assert len(boxes) == 7
        assert all(left >= 0 and top >= 0 and right <= width and bottom <= height for left, top, right, bottom in boxes)
        assert shown.execute_script("return document.documentElement.scrollWidth") <= width
    finally:
        shown.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def lightness(colour):
    return sum(int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(","))


def test_markup_in_results_neither_runs_nor_shows_as_markup(browser, hostile, tmp_path):
    browser.get_log("browser")
    browser.get(write_page(chapters([hostile]), tmp_path / "page.html").as_uri())
    assert browser.execute_script("return document.scripts.length") == 1
    assert "<script>alert" in browser.execute_script("return document.body.textContent")
    assert browser.get_log("browser") == []
