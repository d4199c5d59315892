# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian packages from the mirrors that the machine's own apt uses, fetched and unpacked without installing them."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import pins
from .console import LabError
from .process import run

_ADD_SOURCES = (
    f"Add the Debian mirror of your choice with its suite {pins.SUITE} and the component main to the apt sources, "
    "or install docker and kind and have access to a container registry."
)


@dataclass(frozen=True)
class Source:
    """One binary archive of apt; ``signed_by`` is a keyring's path, an embedded key, or empty for apt's own keys."""

    uri: str
    suite: str
    components: tuple[str, ...]
    signed_by: str = ""
    trusted: bool = False


def parse_one_line(text: str) -> list[Source]:
    """Read a ``sources.list``: lines such as ``deb [signed-by=/k.gpg] URI suite main``."""
    sources = []
    for raw in text.splitlines():
        line = raw.split("#", 1)[0].strip()
        if not line.startswith("deb "):
            continue
        rest = line[4:].strip()
        options: dict[str, str] = {}
        if rest.startswith("["):
            inside, _, rest = rest[1:].partition("]")
            options = dict(word.split("=", 1) for word in inside.split() if "=" in word)
        words = rest.split()
        if len(words) >= 3:
            trusted = options.get("trusted", "no") == "yes"
            sources.append(Source(words[0], words[1], tuple(words[2:]), options.get("signed-by", ""), trusted))
    return sources


def _stanzas(text: str) -> list[dict[str, str]]:
    stanzas: list[dict[str, str]] = [{}]
    field = ""
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        if not line.strip():
            stanzas.append({})
        elif line[0].isspace():
            stanzas[-1][field] += "\n" + line.strip()
        else:
            field, _, value = line.partition(":")
            field = field.lower()
            stanzas[-1][field] = value.strip()
    return [stanza for stanza in stanzas if stanza]


def parse_deb822(text: str) -> list[Source]:
    """Read a ``*.sources`` file: every URI with every suite of every enabled stanza of type deb."""
    sources = []
    for stanza in _stanzas(text):
        if "deb" not in stanza.get("types", "").split() or stanza.get("enabled", "yes").lower() in ("no", "false"):
            continue
        components = tuple(stanza.get("components", "").split())
        trusted = stanza.get("trusted", "no").lower() == "yes"
        for uri in stanza.get("uris", "").split():
            for suite in stanza.get("suites", "").split():
                sources.append(Source(uri, suite, components, stanza.get("signed-by", "").strip(), trusted))
    return sources


def machine_sources(etc: Path = Path("/etc/apt")) -> list[Source]:
    """Read all apt sources of the machine, in apt's order."""
    sources = []
    for path in [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*"))]:
        if path.suffix == ".list" and path.is_file():
            sources += parse_one_line(path.read_text())
        elif path.suffix == ".sources" and path.is_file():
            sources += parse_deb822(path.read_text())
    return sources


def debian_sources(sources: Iterable[Source]) -> list[Source]:
    """Keep what carries the pinned Debian release; other vendors' archives play no part in the lab."""
    suites = (pins.SUITE, f"{pins.SUITE}-updates", f"{pins.SUITE}-security")
    found = [
        source
        for source in sources
        if source.suite in suites
        and "main" in source.components
        and source.uri.split(":")[0] in ("http", "https", "file")
        and (not source.signed_by or "debian-archive" in source.signed_by or source.signed_by.startswith("-----"))
    ]
    if not any(source.suite == pins.SUITE for source in found):
        raise LabError(f"The apt sources of this machine name no Debian mirror of {pins.SUITE}.", _ADD_SOURCES)
    return found


def mirror(sources: Iterable[Source]) -> Source:
    """Return the archive from which the node's root file system is made."""
    return next(source for source in debian_sources(sources) if source.suite == pins.SUITE)


def keyring(source: Source, folder: Path) -> Path | None:
    """Return the keyring that signs a source, writing an embedded key to ``folder``; None means apt's own keys."""
    if not source.signed_by.startswith("-----"):
        return Path(source.signed_by) if source.signed_by else None
    path = folder / "embedded-key.asc"
    path.write_text("\n".join("" if line == "." else line for line in source.signed_by.splitlines()) + "\n")
    return path


def _source_line(source: Source, folder: Path) -> str:
    signed = keyring(source, folder)
    options = (["trusted=yes"] if source.trusted else []) + ([f"signed-by={signed}"] if signed else [])
    return " ".join(["deb", *([f"[{' '.join(options)}]"] if options else []), source.uri, source.suite, "main"]) + "\n"


def unpack(packages: Sequence[str], into: Path, scratch: Path, log: Path) -> None:
    """Download packages and unpack them into one tree; needs no root and leaves apt's own state as it is."""
    if not shutil.which("apt-get"):
        raise LabError("There is no apt-get on this machine.", "The lab is built on Debian; run it there.")
    state, archives = scratch / "state", scratch / "archives"
    for folder in (state / "lists" / "partial", scratch / "cache" / "archives" / "partial", archives):
        folder.mkdir(parents=True)
    (state / "status").touch()
    listing = scratch / "sources.list"
    listing.write_text("".join(_source_line(source, scratch) for source in debian_sources(machine_sources())))
    settings = {
        "Dir::State": state,
        "Dir::State::status": state / "status",
        "Dir::Cache": scratch / "cache",
        "Dir::Etc::sourcelist": listing,
        "Dir::Etc::sourceparts": "-",
        "Acquire::Languages": "none",
        "Acquire::Retries": "3",
        # apt's own user could not write into a cache below root's home.
        "APT::Sandbox::User": "root",
    }
    apt = ["apt-get", "-q", *(word for name, value in settings.items() for word in ("-o", f"{name}={value}"))]
    run([*apt, "update"], "apt-get update", log)
    run([*apt, "download", *packages], "apt-get download", log, cwd=archives)
    for deb in sorted(archives.glob("*.deb")):
        run(["dpkg-deb", "--extract", deb, into], f"Unpacking {deb.name}", log)
