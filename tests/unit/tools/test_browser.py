# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the browser's installer says of the versions that it finds."""

from __future__ import annotations

import browser
import pytest

INSTALL = "as root: apt-get install chromium chromium-driver"


@pytest.mark.parametrize(
    ("chromium", "chromedriver", "says"),
    [
        ("156.0.8078.79", "156.0.8078.80", ""),
        ("", "156.0.8078.79", f"chromium is missing; {INSTALL}"),
        ("156.0.8078.79", "", f"chromedriver is missing; {INSTALL}"),
        (
            "156.0.8078.79",
            "155.0.1.1",
            "chromium is 156.0.8078.79 and chromedriver 155.0.1.1; they must be of one major version",
        ),
        ("99.0.1.1", "99.0.1.1", "chromium is 99.0.1.1; the test needs 120 or later"),
    ],
)
def test_what_is_wrong_with_a_pair(chromium: str, chromedriver: str, says: str) -> None:
    assert browser.complaint(chromium, chromedriver) == says


def test_a_program_that_is_not_there_has_no_version() -> None:
    assert browser.version("no-such-browser-here") == ""
