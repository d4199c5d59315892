# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stunnel's installer says of the version that it finds."""

from __future__ import annotations

import pytest
import stunnel


@pytest.mark.parametrize(
    ("found", "says"),
    [
        ("5.68", ""),
        ("5.43", ""),
        ("5.9", "stunnel is 5.9; the test needs 5.43 or later"),
        ("", "stunnel is missing; as root: apt-get install stunnel4"),
    ],
)
def test_what_is_wrong_with_a_version(found: str, says: str) -> None:
    assert stunnel.complaint(found) == says
