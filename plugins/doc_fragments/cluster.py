# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the manuals of modules that talk to a cluster have in common."""

from __future__ import annotations


class ModuleDocFragment:
    """The parts by name; Ansible's loader looks for this class."""

    # servicemesh.tcp.cluster
    DOCUMENTATION = r"""
options: {}
requirements:
  - python >= 3.10
  - kubernetes >= 24.2.0
"""

    # servicemesh.tcp.cluster.reading: the module writes nothing to a cluster. What a module says itself goes first.
    READING = r"""
attributes:
  check_mode:
    support: full
    description: Can run in check mode; it changes nothing.
  diff_mode:
    support: none
    description: Returns no diff, since nothing is changed.
"""
