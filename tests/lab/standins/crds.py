# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The CustomResourceDefinitions of the stand-ins, from the files in `crds/`."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).resolve().parent / "crds"


@functools.cache
def definitions() -> dict[str, dict[str, Any]]:
    """CRD name -> object. The files use YAML anchors, so objects may share parts: nobody changes them."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    lists = [yaml.load(file.read_text(), Loader=loader) for file in sorted(FOLDER.glob("*.yaml"))]
    return {one["metadata"]["name"]: one for content in lists for one in content["items"]}


def kind_and_version(name: str) -> tuple[str, str]:
    """The kind of a CRD and the version in which it is stored."""
    spec = definitions()[name]["spec"]
    return spec["names"]["kind"], next(version["name"] for version in spec["versions"] if version["storage"])
