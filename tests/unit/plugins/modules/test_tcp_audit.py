# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules of the audit: what they return, which files they write, and what they refuse before they read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.servicemesh.tcp.plugins.modules import tcp_audit, tcp_audit_fleet
from ansible_collections.servicemesh.tcp.tests.unit.plugins import audit_builders as build
from ansible_collections.servicemesh.tcp.tests.unit.plugins.module_run import run_module

TEMPLATES = str(Path(__file__).resolve().parents[4] / "roles" / "audit" / "files" / "report")
ENDINGS = ["adopt.yml", "csv", "html", "json", "md", "sarif"]


def run(api=None, check_mode=False, **options):
    return run_module(tcp_audit, api or build.PagedApi(build.busy()), check_mode, **options)


def test_what_is_returned_and_written(tmp_path):
    folder = tmp_path / "new"
    done = run(name="prod", report_dir=str(folder), templates=TEMPLATES)
    assert (done["failed"], done["changed"]) == (False, False)
    assert done["summary"]["ways_in"] == 20
    assert "rows" not in done
    assert {item["code"] for item in done["failing"]} == {"BACKEND_DEAD", "BACKEND_GONE"}
    assert done["api_requests"] == {"GET": 26}
    assert sorted(path.name for path in folder.iterdir()) == [f"prod.audit.{ending}" for ending in ENDINGS]
    assert sorted(done["files"]) == sorted(map(str, folder.iterdir()))
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o644}
    document = json.loads((folder / "prod.audit.json").read_text())
    assert (document["summary"], document["findings"]) == (done["summary"], done["findings"])


def test_without_a_folder_and_in_check_mode_nothing_is_written(tmp_path):
    assert run()["files"] == []
    done = run(check_mode=True, report_dir=str(tmp_path / "new"), templates=TEMPLATES)
    assert done["files"] == []
    assert list(tmp_path.iterdir()) == []


def test_an_audit_is_compared_with_the_very_file_that_it_replaces(tmp_path):
    options = {"name": "prod", "report_dir": str(tmp_path), "templates": TEMPLATES}
    run(**options)
    objects = build.busy()
    del objects[build.SERVICES][-1]
    done = run(build.PagedApi(objects), compare_with=str(tmp_path / "prod.audit.json"), **options)
    assert done["changes"]["went"] == ["Service shop/ledger 7000"]
    assert "0 came, 1 went, 0 changed." in done["lines"][1]
    assert json.loads((tmp_path / "prod.audit.json").read_text())["changes"] == done["changes"]


def test_all_rows_are_returned_on_demand():
    assert len(run(return_rows=True)["rows"]) == 21


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"fail_on": ["errors"]}, "fail_on: 'errors' is not valid"),
        ({"report_dir": "x"}, "templates: None is not valid"),
        ({"compare_with": "/nowhere.json"}, "compare_with: '/nowhere.json' is not valid"),
        ({"compare_with": __file__}, "it must be the JSON of an earlier audit"),
        ({"compare_with": "endpoints.json"}, "it is no audit of this version"),
    ],
)
def test_bad_options_are_refused_before_the_cluster_is_asked(options, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "endpoints.json").write_text("[]")
    api = build.PagedApi(build.busy())
    done = run(api, **options)
    assert done["failed"]
    # What the playbook ends with all the same.
    assert (done["lines"], done["files"]) == (["The cluster was not audited."], [])
    assert [line.split()[0] for line in done["table"]] == ["DOOR"]
    assert done["msg"].startswith("VALUE_INVALID audit: ")
    assert says in done["msg"]
    assert api.log == []


def test_a_right_that_nothing_goes_without():
    api = build.PagedApi(build.busy())
    api.refused.add(build.SERVICES)
    done = run(api)
    assert done["msg"].startswith("FORBIDDEN /api/v1/services: the API server refuses to read")


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    done = run(report_dir=str(tmp_path / "file"), templates=TEMPLATES)
    assert done["msg"].startswith("the report cannot be written: ")


@pytest.mark.parametrize("check_mode", [False, True])
def test_the_fleet_s_page_links_to_the_clusters_that_were_read(tmp_path, monkeypatch, check_mode):
    monkeypatch.setattr(tcp_audit_fleet, "Api", None, raising=False)
    clusters = [{"name": "prod", "summary": run()["summary"], "taken": "t"}, {"name": "gone", "why": "No answer."}]
    done = run_module(
        tcp_audit_fleet, None, check_mode, clusters=clusters, report_dir=str(tmp_path), templates=TEMPLATES
    )
    assert not done["failed"]
    if check_mode:
        assert list(tmp_path.iterdir()) == []
        return
    page = (tmp_path / "fleet.audit.html").read_text()
    assert 'href="prod.audit.html"' in page
    assert "gone.audit.html" not in page
    assert "No answer." in page
    written = json.loads((tmp_path / "fleet.audit.json").read_text())
    assert [item["file"] for item in written["clusters"]] == ["", "prod.audit.html"]
