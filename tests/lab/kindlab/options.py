# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from .addresses import MAX_NODES, SLOTS

DEFAULT_NAME = "lab"


def count(text: str) -> int:
    """A number of nodes."""
    number = int(text)
    if not 1 <= number <= MAX_NODES:
        raise argparse.ArgumentTypeError(f"a lab has 1 to {MAX_NODES} nodes")
    return number


def parser() -> argparse.ArgumentParser:
    """Every command with its options."""
    top = argparse.ArgumentParser(prog="lab", description="A kind cluster with Istio, also where no registry answers.")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    named = argparse.ArgumentParser(add_help=False)
    named.add_argument(
        "--name", default=DEFAULT_NAME, help="which lab, for several side by side (default: %(default)s)"
    )

    up = commands.add_parser("up", parents=[named], help="bring the lab up; does nothing when it already is")
    up.add_argument("--nodes", type=count, help="nodes of the cluster, the control plane included (default: 1)")
    up.add_argument("--bare", action="store_true", help="without Istio")
    up.add_argument("--api-only", action="store_true", help="only etcd and kube-apiserver, as two processes; no pods")
    up.add_argument(
        "--engine", choices=("auto", "host", "own"), default="auto", help="the docker that runs, or an own one"
    )
    up.add_argument(
        "--images", choices=("auto", "pulled", "built"), default="auto", help="published images, or built ones"
    )
    up.add_argument(
        "--slot", type=int, choices=range(SLOTS), metavar=f"0..{SLOTS - 1}", help="which /19 of 198.18.0.0/15"
    )
    up.add_argument(
        "--with",
        dest="extras",
        action="append",
        default=[],
        metavar="PART",
        help="stand-ins for operators, with commas: olm, ossm2, sail, openshift; none ends those that run;"
        " helm brings helm and Istio's charts",
    )

    commands.add_parser("down", parents=[named], help="take the lab down and clear everything it left")
    commands.add_parser("status", parents=[named], help="what runs; exit code 0 when ready, 3 when not")
    commands.add_parser("kubeconfig", parents=[named], help="print the path of the admin's kubeconfig")
    logs = commands.add_parser("logs", parents=[named], help="the log of one part")
    logs.add_argument(
        "component",
        help="istiod, gateway NAMESPACE/NAME, apiserver, etcd, dockerd, balancer, kubelet, containerd, standin-NAME",
    )
    logs.add_argument("target", nargs="?", default="", metavar="NAMESPACE/NAME", help="which gateway")
    logs.add_argument("--lines", type=int, default=200, help="how many lines from the end (default: %(default)s)")
    run = commands.add_parser("exec", parents=[named], help="run a command with the lab's KUBECONFIG and programs")
    run.add_argument("argv", nargs=argparse.REMAINDER, metavar="-- COMMAND ...")
    return top


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse the command line; the `--` before a command of `exec` is dropped."""
    options = parser().parse_args(arguments)
    if options.command == "exec" and options.argv[:1] == ["--"]:
        options.argv = options.argv[1:]
    return options
