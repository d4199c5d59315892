# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading the machine's apt sources: which Debian mirror the lab may use, and what it leaves alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from kindlab import debs
from kindlab.console import LabError
from kindlab.debs import Source

ONE_LINE = """
# deb http://old.example/debian bookworm main
deb http://one.example/debian bookworm main contrib  # the usual
deb-src http://one.example/debian bookworm main
deb [arch=amd64 signed-by=/keys/debian-archive-keyring.gpg trusted=yes] https://two.example/d bookworm-security main
"""
DEB822 = """
# a comment
Types: deb deb-src
URIs: http://one.example/debian http://two.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /keys/debian-archive-keyring.gpg

Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main
Enabled: no

Types: deb-src
URIs: http://source.example/debian
Suites: bookworm
Components: main
"""
EMBEDDED = """
Types: deb
URIs: http://one.example/debian
Suites: bookworm
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 AAAA
 -----END PGP PUBLIC KEY BLOCK-----
"""


def _source(uri: str = "http://one.example/debian", suite: str = "bookworm", **other: object) -> Source:
    return Source(uri, suite, **{"components": ("main",), **other})


def test_one_line_format() -> None:
    assert debs.parse_one_line(ONE_LINE) == [
        Source("http://one.example/debian", "bookworm", ("main", "contrib")),
        Source("https://two.example/d", "bookworm-security", ("main",), "/keys/debian-archive-keyring.gpg", True),
    ]


def test_deb822_format_gives_every_uri_with_every_suite() -> None:
    signed = "/keys/debian-archive-keyring.gpg"
    assert debs.parse_deb822(DEB822) == [
        Source("http://one.example/debian", "bookworm", ("main",), signed),
        Source("http://one.example/debian", "bookworm-updates", ("main",), signed),
        Source("http://two.example/debian", "bookworm", ("main",), signed),
        Source("http://two.example/debian", "bookworm-updates", ("main",), signed),
    ]


def test_an_embedded_key_becomes_a_keyring_file(tmp_path: Path) -> None:
    (source,) = debs.parse_deb822(EMBEDDED)
    written = debs.keyring(source, tmp_path).read_text()
    begin, end = "-----BEGIN PGP PUBLIC KEY BLOCK-----", "-----END PGP PUBLIC KEY BLOCK-----"
    assert written == f"{begin}\n\nAAAA\n{end}\n"


def test_a_named_keyring_is_used_as_it_is_and_none_means_those_of_apt(tmp_path: Path) -> None:
    assert debs.keyring(_source(signed_by="/keys/k.gpg"), tmp_path) == Path("/keys/k.gpg")
    assert debs.keyring(_source(), tmp_path) is None


def test_both_kinds_of_files_are_read_and_no_others(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text("deb http://a/ bookworm main\n")
    (tmp_path / "sources.list.d/b.sources").write_text("Types: deb\nURIs: http://b/\nSuites: s\nComponents: main\n")
    (tmp_path / "sources.list.d/c.list").write_text("deb http://c/ bookworm main\n")
    (tmp_path / "sources.list.d/d.list.save").write_text("deb http://d/ bookworm main\n")
    assert [source.uri for source in debs.machine_sources(tmp_path)] == ["http://a/", "http://b/", "http://c/"]


@pytest.mark.parametrize(
    "other",
    [
        _source("http://vendor.example/x", components=("stable",)),
        _source("http://vendor.example/x", suite="bookworm-vendor"),
        _source("http://vendor.example/x", signed_by="/keys/vendor.gpg"),
        _source("cdrom:[Debian]/"),
    ],
)
def test_other_archives_play_no_part(other: Source) -> None:
    assert debs.debian_sources([other, _source()]) == [_source()]


def test_the_mirror_is_the_release_itself_and_not_its_updates() -> None:
    updates = _source("http://updates.example/debian", suite="bookworm-security")
    assert debs.mirror([updates, _source()]) == _source()


def test_a_machine_without_a_debian_mirror_is_told_what_to_add() -> None:
    with pytest.raises(LabError, match="no Debian mirror of bookworm") as caught:
        debs.debian_sources([_source(suite="bookworm-updates"), _source(suite="noble")])
    assert "bookworm" in caught.value.remedy
