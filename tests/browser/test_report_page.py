# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report in a real browser: filter, sort, copy, links, keyboard, light and dark, phone, print; and an attack.

Pictures go to tests/output/, for people to look at.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import browser as tool
import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils._audit import audit
from ansible_collections.servicemesh.tcp.plugins.module_utils._audit_compare import compare
from ansible_collections.servicemesh.tcp.plugins.module_utils._audit_read import read_audit
from ansible_collections.servicemesh.tcp.plugins.module_utils._report_html import to_fleet_html, to_html
from ansible_collections.servicemesh.tcp.tests.unit.plugins import audit_builders as build
from webdriver import Browser

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = str(ROOT / "roles" / "audit" / "files" / "report")
PICTURES = ROOT / "tests" / "output"
SHOWN = "return [...document.querySelectorAll('#table tbody tr')].filter(r => r.offsetHeight).map(r => r.id)"
ATTACK = "</script><script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Return a headless browser."""
    wrong = tool.complaint(tool.version("chromium"), tool.version("chromedriver"))
    if wrong:
        pytest.fail(f"{wrong} (or run tests/tools/browser.py)")
    made = Browser()
    yield made
    made.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the report of a cluster, of a fleet, and of a cluster whose names are attacks."""
    made = tmp_path_factory.mktemp("report")
    PICTURES.mkdir(exist_ok=True)
    document = audit(read_audit(build.PagedApi(build.busy())), build.NOW, "prod")
    before = json.loads(json.dumps(document).replace("10.1.0.1", "10.1.0.9"))
    before["rows"] = before["rows"][:-1]
    document["changes"] = compare(before, document)
    (made / "prod.audit.html").write_text(to_html(document, TEMPLATES, "fleet.audit.html"))
    clusters = [
        {"name": "prod", "summary": document["summary"], "taken": document["taken"], "file": "prod.audit.html"},
        {"name": "stage", "why": "It was not read; the run says why.", "file": ""},
    ]
    (made / "fleet.audit.html").write_text(to_fleet_html(clusters, TEMPLATES, document["taken"]))
    text = json.dumps(document).replace("rabbitmq", json.dumps(ATTACK)[1:-1])
    (made / "hostile.html").write_text(to_html(json.loads(text), TEMPLATES))
    return made


@pytest.fixture
def page(browser: Browser, folder: Path) -> Browser:
    """Return the browser at the report of a cluster."""
    browser.size(1400, 900)
    browser.devtools("Emulation.setEmulatedMedia", {"media": "", "features": []})
    # Another page between, so that no place in the page is kept.
    browser.open(folder / "fleet.audit.html")
    browser.open(folder / "prod.audit.html")
    return browser


def test_the_page_asks_for_nothing_and_nothing_is_refused(page: Browser, folder: Path) -> None:
    page.complaints()
    page.fetched()
    page.open(folder / "prod.audit.html")
    assert page.complaints() == []
    assert [url for url in page.fetched() if not url.startswith(("file:", "data:"))] == []


def test_the_table_is_filtered(page: Browser) -> None:
    assert len(page.run(SHOWN)) == 21
    page.type("#filter", "helm 8.8.4.4")
    assert page.run("return document.querySelector('#shown').textContent") == "3 of 21 shown"
    assert len(page.run(SHOWN)) == 3
    page.run("document.querySelector('#filter').value = ''")
    page.type("#filter", " ")
    page.run("const s = document.querySelector('#by-state'); s.value = 'broken'; s.dispatchEvent(new Event('change'))")
    states = page.run(
        "return [...document.querySelectorAll('#table tbody tr')].filter(r => r.offsetHeight).map(r => r.dataset.state)"
    )
    assert states == ["broken"] * 9


def test_the_table_is_sorted_by_numbers(page: Browser) -> None:
    ports = "return [...document.querySelectorAll('#table tbody tr')].map(r => +r.cells[4].dataset.sort)"
    page.click("#table th:nth-child(5) button")
    up = page.run(ports)
    assert up == sorted(up)
    page.click("#table th:nth-child(5) button")
    assert page.run(ports) == sorted(up, reverse=True)
    assert page.run("return document.querySelector('#table th:nth-child(5)').ariaSort") == "descending"


def test_shown_rows_are_copied_and_no_cell_is_a_formula(page: Browser) -> None:
    page.run("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
    page.run("document.querySelector('#table tbody tr').cells[6].textContent = '=1+1'")
    page.run("const s = document.querySelector('#by-state'); s.value = 'broken'; s.dispatchEvent(new Event('change'))")
    page.click("#copy")
    lines = [line.split("\t") for line in page.run("return window.copied").split("\n")]
    assert len(lines) == 10
    assert lines[0][:3] == ["State", "Door", "Gateway or object"]
    assert lines[1][6] == "'=1+1"


def test_a_link_of_a_finding_leads_to_its_row_even_if_the_filter_hides_it(page: Browser) -> None:
    page.type("#filter", "no such thing")
    assert page.run(SHOWN) == []
    page.click("#finding-1 .links a")
    target = page.run("return location.hash.slice(1)")
    assert target.startswith("way-")
    assert target in page.run(SHOWN)
    assert page.run("return document.activeElement.id") == target
    top = page.run("return document.getElementById(arguments[0]).getBoundingClientRect().top", target)
    assert 0 < top < 900


def test_a_box_of_the_map_leads_to_its_row(page: Browser) -> None:
    page.click("svg a g.bad rect")
    row = page.run("return document.querySelector(location.hash).textContent")
    assert "broken" in row


def test_the_keyboard_reaches_the_filter(page: Browser) -> None:
    page.keys("/")
    assert page.run("return document.activeElement.id") == "filter"
    page.keys("ledger")
    assert len(page.run(SHOWN)) == 1
    page.keys("\ue00c")
    assert len(page.run(SHOWN)) == 21


def test_nothing_is_wider_than_a_phone_but_the_map(page: Browser) -> None:
    page.size(360, 780)
    assert page.run("return document.documentElement.scrollWidth") == 360
    page.screenshot(PICTURES / "report-phone.png")
    page.run("document.querySelector('#ways').scrollIntoView()")
    page.screenshot(PICTURES / "report-phone-table.png")


def luminance(path: Path) -> float:
    """Return the mean brightness of a PNG's first line, 0 to 255: the page's top bar."""
    data = path.read_bytes()
    width, depth, colours = struct.unpack(">I4xBB", data[16:26])
    assert depth == 8
    parts, at = b"", 8
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        parts += data[at + 8 : at + 8 + length] if kind == b"IDAT" else b""
        at += 12 + length
    channels = {2: 3, 6: 4}[colours]
    line = zlib.decompressobj().decompress(parts, 1 + width * channels)
    # The first line of the top bar has one colour, so that every filter leaves its first pixel as it is.
    return sum(line[1:4]) / 3


def test_light_and_dark(page: Browser) -> None:
    light = luminance(page.screenshot(PICTURES / "report-light.png", whole=True))
    page.devtools("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]})
    dark = luminance(page.screenshot(PICTURES / "report-dark.png", whole=True))
    page.click("#theme")
    assert luminance(page.screenshot(PICTURES / "report-light-again.png")) == light
    assert (light > 200, dark < 80) == (True, True)


def test_contrast_of_texts_in_both_themes(page: Browser) -> None:
    """WCAG 2.2, 1.4.3: 4.5 to 1 for text of this size."""
    script = """
    const parts = (c) => c.match(/[\\d.]+/g).map(Number);
    const light = (c) => { const [r, g, b] = parts(c).slice(0, 3).map(v => v / 255)
      .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126*r + 0.7152*g + 0.0722*b; };
    const behind = (e) => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor;
      if ((parts(c)[3] ?? 1) === 1) return c; } return 'rgb(255,255,255)'; };
    return [...document.querySelectorAll('main *')].filter(e => !e.closest('svg, meter, .hidden')
      && [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()) && e.offsetHeight)
      .map(e => { const a = light(getComputedStyle(e).color), b = light(behind(e));
        return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), e.tagName + '.' + e.className]; })
      .filter(([ratio]) => ratio < 4.5).map(([ratio, name]) => name + ' ' + ratio.toFixed(2));
    """
    assert page.run(script) == []
    page.click("#theme")
    assert page.run(script) == []


def test_print_has_everything_but_the_tools(page: Browser) -> None:
    page.devtools("Emulation.setEmulatedMedia", {"media": "print"})
    assert page.run("return document.querySelector('.tools').offsetHeight") == 0
    assert len(page.run(SHOWN)) == 21
    assert page.run("return document.querySelector('svg').getBoundingClientRect().width <= innerWidth")


def test_the_fleet_leads_to_a_cluster_and_back(page: Browser, folder: Path) -> None:
    page.open(folder / "fleet.audit.html")
    page.screenshot(PICTURES / "report-fleet.png")
    page.click("#table tbody a")
    assert page.run("return document.title") == "TCP into prod"
    page.click("nav a")
    assert page.run("return document.title") == "TCP into the fleet"


def test_a_hostile_name_is_shown_and_does_nothing(page: Browser, folder: Path) -> None:
    page.complaints()
    page.open(folder / "hostile.html")
    assert page.run("return document.title") == "TCP into prod"
    assert page.run("return document.querySelectorAll('img, script').length") == 1
    assert "<img src=x" in page.run("return document.querySelector('#table').textContent")
    assert "<img src=x" in page.run("return document.querySelector('svg').textContent")
    assert page.complaints() == []
