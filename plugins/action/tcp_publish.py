# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the module of the same name, and shows what it waits for while it waits."""

from __future__ import annotations

from ansible_collections.servicemesh.tcp.plugins.plugin_utils._progress import ProgressAction


class ActionModule(ProgressAction):
    """Action of M(servicemesh.tcp.tcp_publish)."""
