# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report in all its forms: what it shows, and that no name of anybody's object means anything in it."""

from __future__ import annotations

import csv
import html.parser
import io
import itertools
import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml
from ansible_collections.servicemesh.tcp.plugins.module_utils import _audit_rows
from ansible_collections.servicemesh.tcp.plugins.module_utils._audit import audit
from ansible_collections.servicemesh.tcp.plugins.module_utils._audit_compare import compare
from ansible_collections.servicemesh.tcp.plugins.module_utils._audit_read import read_audit
from ansible_collections.servicemesh.tcp.plugins.module_utils._audit_records import adoption
from ansible_collections.servicemesh.tcp.plugins.module_utils._report_files import file_name, files
from ansible_collections.servicemesh.tcp.plugins.module_utils._report_html import to_fleet_html, to_html
from ansible_collections.servicemesh.tcp.plugins.module_utils._report_map import hop_map
from ansible_collections.servicemesh.tcp.plugins.module_utils._report_sarif import to_sarif
from ansible_collections.servicemesh.tcp.plugins.module_utils._report_text import (
    summary_lines,
    table_lines,
    to_csv,
    to_markdown,
    to_mermaid,
)
from ansible_collections.servicemesh.tcp.tests.unit.plugins import audit_builders as build

ROOT = Path(__file__).resolve().parents[4]
TEMPLATES = str(ROOT / "roles" / "audit" / "files" / "report")
SCHEMA = json.loads((ROOT / "docs" / "schemas" / "audit.json").read_text())
# One name that is an attack on every form at once.
HOSTILE = (
    '=HYPERLINK("http://evil.example")</script><script>alert(1)</script><img src=x onerror=alert(2)>'
    "\"' onmouseover='alert(3)' [x](javascript:alert(4)) | `code` ```\n\n# heading\nend\n\x1b[31m"
    '"]; click n0 "javascript:alert(5)" {{ 7*7 }} {% raw %} & &lt; www.evil.example'
)


@pytest.fixture(scope="module")
def document():
    return audit(read_audit(build.PagedApi(build.busy())), build.NOW, "prod")


@pytest.fixture(scope="module")
def hostile():
    """Return an audit in which every text that comes from the cluster is the attack."""
    found = audit(read_audit(build.PagedApi(build.busy())), build.NOW, HOSTILE)
    for number, row in enumerate(found["rows"]):
        old = row["id"]
        row.update(
            id=f"{HOSTILE} {number}",
            object=f"Service {HOSTILE}/{number}",
            gateway=HOSTILE if row["gateway"] else "",
            addresses=[HOSTILE],
            hosts=[HOSTILE],
            listener=HOSTILE,
            route=HOSTILE,
            since=HOSTILE,
            protocol=HOSTILE,
            why=HOSTILE,
            target_port=HOSTILE,
        )
        row["owner"] = {"kind": "helm", "name": HOSTILE, "by": HOSTILE}
        row["open_to"] = {**row["open_to"], "text": HOSTILE, "policies": [HOSTILE]}
        for backend in row["backends"]:
            backend.update(service=HOSTILE, namespace=HOSTILE, port=HOSTILE)
        for item in found["findings"]:
            item["rows"] = [row["id"] if key == old else key for key in item["rows"]]
    for item in found["findings"]:
        item.update(subject=HOSTILE, message=HOSTILE, remedy=HOSTILE)
    found["cluster"]["host"] = HOSTILE
    before = {**found, "rows": found["rows"][1:], "findings": [], "taken": HOSTILE}
    found["changes"] = compare(before, found)
    return found


class Elements(html.parser.HTMLParser):
    """The elements, attributes and texts of a page, as a browser's parser sees them."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.attributes, self.texts, self.ids = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        self.ids += [value for name, value in attrs if name == "id"]

    def handle_data(self, data):
        self.texts.append(data)


def test_the_document_is_as_the_schema_says(document, hostile):
    validator = jsonschema.Draft202012Validator(SCHEMA)
    validator.check_schema(SCHEMA)
    validator.validate(document)
    changed = {**document, "changes": compare(document, document)}
    validator.validate(changed)
    with pytest.raises(jsonschema.ValidationError):
        validator.validate({**document, "rows": [{**document["rows"][0], "state": "fine"}]})
    with pytest.raises(jsonschema.ValidationError):
        validator.validate({**document, "more": 1})


def test_every_key_of_a_row_is_in_the_schema():
    row = _audit_rows.new_row("inside", "x", 1)
    assert set(SCHEMA["$defs"]["row"]["properties"]) == set(row) == set(SCHEMA["$defs"]["row"]["required"])


def test_a_name_makes_no_element_and_no_attribute_of_the_page(document, hostile):
    plain, attacked = (Elements(to_html(item, TEMPLATES)) for item in (document, hostile))
    assert set(attacked.tags) <= {*plain.tags, "li", "small", "b", "p", "span", "a"}
    assert attacked.tags.count("script") == plain.tags.count("script") == 1
    assert "img" not in attacked.tags
    assert not [name for _tag, name, _value in attacked.attributes if name.startswith("on") or name == "style"]
    # The attack is there to read, as it is written.
    assert any("<img src=x onerror=alert(2)>" in text for text in attacked.texts)
    # Links lead within the page only.
    assert {value[0] for _tag, name, value in attacked.attributes if name == "href"} == {"#"}


def test_the_page_fetches_nothing_and_lets_in_its_own_script_only(document):
    page = to_html(document, TEMPLATES, "fleet.audit.html")
    found = Elements(page)
    assert not [
        value for _tag, name, value in found.attributes if name in ("src", "srcset", "action", "data", "poster")
    ]
    assert {value for _tag, name, value in found.attributes if name == "href" and value[0] != "#"} == {
        "fleet.audit.html"
    }
    [policy] = [value for tag, name, value in found.attributes if tag == "meta" and "default-src" in (value or "")]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert "@import" not in page
    assert "url(" not in page


def test_every_link_of_the_page_has_its_target(document):
    found = Elements(to_html(document, TEMPLATES))
    links = {value[1:] for _tag, name, value in found.attributes if name == "href"}
    assert links <= set(found.ids)
    assert len(found.ids) == len(set(found.ids))
    assert f"way-{len(document['rows'])}" in found.ids


def test_the_page_has_every_way_in_and_every_finding(document):
    text = " ".join(Elements(to_html(document, TEMPLATES)).texts)
    for item in document["findings"]:
        assert item["message"] in text
        assert item["remedy"] in text
    for row in document["rows"]:
        assert row["object"].partition(" ")[2] in text


def test_no_cell_of_the_csv_is_a_formula(hostile, document):
    for item in (hostile, document):
        lines = list(csv.reader(io.StringIO(to_csv(item["rows"]))))
        assert len(lines) == len(item["rows"]) + 1
        assert {len(line) for line in lines} == {len(lines[0])}
        assert not [cell for line in lines for cell in line if cell[:1] in ("=", "+", "-", "@", "\t", "\r")]
        assert not [cell for line in lines for cell in line if "\n" in cell or "\x1b" in cell]


def test_a_name_means_nothing_in_markdown(hostile):
    text = to_markdown(hostile)
    assert text.count("```") == 2
    # The map has rules of its own, see below.
    text = re.sub(r"```mermaid.*?```", "", text, flags=re.DOTALL)
    for harmful in ("<script", "<img", "](", "`code`", "http://evil", "www.evil", "\x1b"):
        assert harmful not in text, harmful
    # Four headings, and every row of the table has its nine cells.
    assert len(re.findall(r"^#+ ", text, re.MULTILINE)) == 4
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(rows) == len(hostile["rows"]) + 1
    assert {line.count("|") for line in rows} == {10}


def test_a_name_means_nothing_in_mermaid(hostile):
    allowed = re.compile(
        r"flowchart LR|  n\d+\[\"[A-Za-z0-9 ,./:#;-]*<br/>[A-Za-z0-9 ,./:#;-]*\"\]"
        r"|  n\d+ (-->|-\. broken \.-x) n\d+|  linkStyle [\d,]+ stroke:#c62828,color:#c62828"
    )
    assert [line for line in to_mermaid(hostile["rows"]).splitlines() if not allowed.fullmatch(line)] == []


def test_a_name_means_nothing_in_yaml_and_on_the_screen(hostile):
    records = {"tcp_gateways": [], "tcp_ports": [], "left_out": [{"id": HOSTILE, "why": HOSTILE}]}
    text = files(hostile, records, TEMPLATES)[file_name(HOSTILE, "adopt.yml")]
    assert yaml.safe_load(text) == {"tcp_gateways": [], "tcp_ports": []}
    lines = [*table_lines(hostile["rows"]), *summary_lines(hostile)]
    assert not [line for line in lines if "\x1b" in line or "\n" in line]


def test_a_cluster_s_name_cannot_leave_the_folder():
    assert file_name("../../etc/passwd", "json") == "etc-passwd.audit.json"
    assert file_name("https://api.example.com:6443", "html") == "https-api-example-com-6443.audit.html"
    assert file_name("///", "html") == "cluster.audit.html"


def test_the_map_draws_the_first_broken_hop(document):
    rows = build.ways(document["rows"])

    def broken(key):
        drawn = hop_map([rows[key]], 10)
        columns = {node["id"]: node["column"] for node in drawn["nodes"]}
        return [columns[edge["to"]] for edge in drawn["edges"] if edge["broken"]]

    assert broken("Service shop/game 7777") == [1]
    assert broken("Service legacy/istio-ingressgateway 80") == [3]
    assert broken("Service legacy/istio-ingressgateway 9092") == [4]
    assert broken("Service legacy/istio-ingressgateway 3306") == [4]
    assert broken("Service gateways/edge 2222") == [5]
    assert broken("Service gateways/edge 5432") == []


def test_boxes_of_the_map_do_not_meet(document):
    drawn = hop_map([row for row in document["rows"] if row["door"] != "inside"], 100)
    assert drawn["shown"] == drawn["all"] == 20
    for column in range(6):
        heights = sorted(node["y"] for node in drawn["nodes"] if node["column"] == column)
        assert all(after - before >= 40 for before, after in itertools.pairwise(heights)), column


def test_the_map_of_many_shows_the_first_of_them(document):
    rows = [dict(document["rows"][3], id=f"r{number}", port=number) for number in range(1, 5001)]
    assert (hop_map(rows, 40)["shown"], hop_map(rows, 40)["all"]) == (40, 5000)


def test_sarif(document):
    found = to_sarif(document)
    [run] = found["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert found["version"] == "2.1.0"
    assert len(run["results"]) == len(document["findings"])
    for result, item in zip(run["results"], document["findings"], strict=True):
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"] == item["code"]
        assert result["level"] == item["severity"]
        [place] = result["locations"]
        assert re.fullmatch(r"prod/[A-Za-z0-9%/._~-]+", place["physicalLocation"]["artifactLocation"]["uri"])
    prints = [result["partialFingerprints"]["subject/v1"] for result in run["results"]]
    assert len(set(prints)) == len(prints)


def test_the_fleet_has_a_row_for_each_cluster_the_worst_first(document):
    page = Elements(
        to_fleet_html(
            [
                {"name": "good", "summary": summary(), "taken": "t", "file": "good.audit.html"},
                {"name": HOSTILE, "why": HOSTILE, "file": ""},
                {"name": "prod", "summary": document["summary"], "taken": "t", "file": "prod.audit.html"},
            ],
            TEMPLATES,
            "2026-11-21T15:00:00Z",
        )
    )
    states = [value for tag, name, value in page.attributes if tag == "tr" and name == "data-state"]
    assert states == ["unread", "bad", "good"]
    assert "img" not in page.tags
    assert [value for _tag, name, value in page.attributes if name == "href" and value[0] != "#"] == [
        "prod.audit.html",
        "good.audit.html",
    ]


def summary():
    """Return the summary of a cluster without anything."""
    return audit(read_audit(build.PagedApi({}, groups={})), build.NOW)["summary"]


def test_an_empty_cluster_has_a_report(document):
    empty = audit(read_audit(build.PagedApi({}, groups={})), build.NOW)
    records = adoption([], [])
    contents = files(empty, records, TEMPLATES)
    assert "Nothing lets TCP in from outside." in contents["https-cluster-test-6443.audit.html"]
    assert json.loads(contents["https-cluster-test-6443.audit.json"])["rows"] == []


def test_the_table_shows_the_worst_first_and_says_how_many_more(document):
    lines = table_lines(document["rows"], 9)
    assert len(lines) == 11
    assert all("broken at the" in line for line in lines[1:10])
    assert lines[-1] == "... and 12 more; the report in tcp_report_dir has all of them"
