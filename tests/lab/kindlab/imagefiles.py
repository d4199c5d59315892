# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that several images share: busybox, Debian's network tools with their libraries, a user table."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from .oci import File, Folder, Item, Link
from .rootfs import closure, inside
from .unpacked import Engine

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_XTABLES_MODULES = "usr/lib/x86_64-linux-gnu/xtables"
_NETWORK_TOOLS = ("/usr/sbin/xtables-nft-multi", "/usr/sbin/nft", "/usr/sbin/conntrack", "/bin/ip")


def base() -> list[Item]:
    """The folders that programs expect, and root and istio-proxy as users."""
    users = b"root:x:0:0:root:/:/bin/sh\nistio-proxy:x:1337:1337::/:/bin/sh\n"
    groups = b"root:x:0:\nistio-proxy:x:1337:\n"
    files = [File("etc/passwd", users, 0o644), File("etc/group", groups, 0o644)]
    return [*files, Folder("tmp", 0o1777), Folder("run"), Folder("var")]


def busybox(engine: Engine, applets: Sequence[str] = ("sh",)) -> list[Item]:
    """Busybox under its own name and under those of the given applets."""
    return [
        *(Link(f"bin/{applet}", "busybox") for applet in applets),
        File("bin/busybox", engine.root / "bin/busybox"),
    ]


def program_files(tree: Path, programs: Sequence[str]) -> list[Item]:
    """Programs of the root file system with every shared library that they need."""
    return [File(path, inside(tree, path)) for path in [*programs, *sorted(closure(tree, programs))]]


def iptables_names() -> list[str]:
    """The names under which kube-proxy and pilot-agent look for iptables; all are one program."""
    names = [f"{family}{variant}" for family in ("iptables", "ip6tables") for variant in ("", "-nft")]
    return [name + action for name in names for action in ("", "-save", "-restore")]


def network_tools(tree: Path) -> list[Item]:
    """iptables with all its modules, nft, conntrack and ip, and the libraries of each of them."""
    # A match or target is a module of its own, with libraries of its own: `statistic` needs libm, for one.
    names = sorted(os.listdir(tree / _XTABLES_MODULES))
    paths = {name: tree / _XTABLES_MODULES / name for name in names if name.endswith(".so")}
    modules = [f"/{_XTABLES_MODULES}/{name}" for name, path in paths.items() if not path.is_symlink()]
    links = [Link(f"{_XTABLES_MODULES}/{name}", os.readlink(path)) for name, path in paths.items() if path.is_symlink()]
    names_of_iptables = [Link(f"usr/sbin/{name}", "xtables-nft-multi") for name in iptables_names()]
    return [*program_files(tree, [*_NETWORK_TOOLS, *modules]), *links, *names_of_iptables]
