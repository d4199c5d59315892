# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make this checkout importable as ``ansible_collections.servicemesh.tcp``, whatever its folder is called."""

from __future__ import annotations

from pathlib import Path

from ansible.plugins.loader import init_plugin_loader

ROOT = Path(__file__).resolve().parent.parent

# Ansible's own loader over the relative link: imports and plugin look-ups resolve as they do in a play.
init_plugin_loader([str(ROOT / "playbooks" / "collections")])
