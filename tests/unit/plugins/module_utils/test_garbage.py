# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Python's search for cycles is out for a while, and back as it was, also after an error."""

from __future__ import annotations

import gc

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils._garbage import uncollected


@uncollected()
def fail():
    raise ValueError(gc.isenabled())


@pytest.mark.parametrize("before", [True, False])
def test_it_is_as_it_was_afterwards(before):
    (gc.enable if before else gc.disable)()
    try:
        with pytest.raises(ValueError, match="False"):
            fail()
        assert gc.isenabled() is before
    finally:
        gc.enable()
