# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of an audit: which there are, and what is in them.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import tempfile
from collections.abc import Mapping
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._report_html import to_html
from ansible_collections.servicemesh.tcp.plugins.module_utils._report_sarif import to_sarif
from ansible_collections.servicemesh.tcp.plugins.module_utils._report_text import clean, to_csv, to_markdown

# The Kubernetes client needs it too, and Api says what is missing.
with contextlib.suppress(ImportError):
    import yaml

ADOPTION_HEADER = """\
# Made by the audit of cluster {cluster} at {taken}: what others publish by hand, as records that take it over.
# Nothing was changed. Read them, keep what you want, give the records better names, and try them first:
#   ansible-playbook -i ... servicemesh.tcp.expose_tcp --check --diff
"""


def file_name(cluster: str, ending: str) -> str:
    """Return the name of an audit's file; a set's own files have no dot before their ending."""
    # The name of a cluster may be a URL, and must not lead out of the folder.
    safe = re.sub(r"[^A-Za-z0-9_-]+", "-", cluster).strip("-") or "cluster"
    return f"{safe}.audit.{ending}"


def files(
    document: Mapping[str, Any], records: Mapping[str, Any], templates: str, fleet: bool = False
) -> dict[str, str]:
    """Return the contents of every file by its name."""
    cluster = document["cluster"]["name"]
    contents = {
        "json": to_json(document),
        "csv": to_csv(document["rows"]),
        "sarif": json.dumps(to_sarif(document), indent=1, ensure_ascii=False) + "\n",
        "md": to_markdown(document),
        "html": to_html(document, templates, file_name("fleet", "html") if fleet else ""),
        "adopt.yml": adoption_text(document, records),
    }
    return {file_name(cluster, ending): text for ending, text in contents.items()}


def to_json(document: Mapping[str, Any]) -> str:
    """Return the document with one row or finding a line, which diffs well; an indented one takes ten times as long."""
    lines = []
    for key, value in document.items():
        text = json.dumps(value, ensure_ascii=False)
        if isinstance(value, list) and value:
            items = ",\n".join(json.dumps(item, ensure_ascii=False) for item in value)
            text = f"[\n{items}\n]"
        lines.append(f"{json.dumps(key)}: {text}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def adoption_text(document: Mapping[str, Any], records: Mapping[str, Any]) -> str:
    """Return the records for adoption as YAML, what was left out as comments."""
    text = ADOPTION_HEADER.format(cluster=clean(document["cluster"]["name"]), taken=document["taken"])
    kept = {key: records[key] for key in ("tcp_gateways", "tcp_ports")}
    text += "---\n" + yaml.safe_dump(kept, sort_keys=False, default_flow_style=None, width=200)
    return text + "".join(f"# left out: {clean(item['id'])}: {clean(item['why'])}\n" for item in records["left_out"])


def write(folder: str, contents: Mapping[str, str]) -> list[str]:
    """Write files so that a reader sees each of them whole, before or after; return their paths."""
    os.makedirs(folder, exist_ok=True)
    paths = []
    for name, text in contents.items():
        path = os.path.join(folder, name)
        handle, scratch = tempfile.mkstemp(dir=folder, prefix=".")
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as stream:
                stream.write(text)
            os.chmod(scratch, 0o644)
            os.replace(scratch, path)
        except BaseException:
            os.unlink(scratch)
            raise
        paths.append(path)
    return paths
