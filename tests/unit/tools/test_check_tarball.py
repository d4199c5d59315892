# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files may be in the tarball."""

from __future__ import annotations

import pytest
from check_tarball import NEEDED, complaints


def test_the_needed_files_alone_are_fine():
    assert complaints(list(NEEDED)) == []


@pytest.mark.parametrize(
    "name",
    [
        "Makefile",
        "ansible.cfg",
        ".gitignore",
        ".venv/bin/python",
        ".lab/lab/kubeconfig",
        "molecule/expose/converge.yml",
        "inventories/lab/hosts.yml",
        "playbooks/collections/ansible_collections/servicemesh/tcp",
        "plugins/module_utils/_plan.pyc",
        "plugins/module_utils/__pycache__/_plan.cpython-311.pyc",
        "tests/unit/test_plan.py",
        "tests/lab/lab",
        "changelogs/fragments/0001.yml",
    ],
)
def test_what_belongs_to_the_house_is_named(name):
    (complaint,) = complaints([*NEEDED, name])

    assert complaint.startswith(f"{name}: ")


@pytest.mark.parametrize(
    "name",
    [
        "plugins/modules/tcp_probe.py",
        "plugins/filter/gateway_port_map.yml",
        "roles/expose/tasks/main.yml",
        "roles/expose/README.md",
        "inventories/fleet/hosts.yml",
        "docs/rbac.yaml",
        "tests/sanity/ignore-2.19.txt",
    ],
)
def test_what_users_need_may_be_there(name):
    assert complaints([*NEEDED, name]) == []


def test_a_needed_file_that_is_missing_is_named():
    assert complaints(list(NEEDED[1:])) == [f"{NEEDED[0]}: it is missing"]
