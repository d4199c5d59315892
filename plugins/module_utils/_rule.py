# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One rule of the catalogue of findings.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from typing import NamedTuple


class Rule(NamedTuple):
    """What a code means: C(error) stops a run before anything is written; in an audit, clients run into it now."""

    severity: str
    sentence: str
    remedy: str
