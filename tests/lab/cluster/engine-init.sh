#!/usr/bin/env bash
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PID 1 of the lab's own mount and PID namespaces (and of a network namespace, when LINK is given): starts dockerd in it.
# Killing this process ends everything that the lab runs; the kernel then drops its mounts, interfaces and firewall rules.
# usage: engine-init.sh ID RUN_DIR DOCKERD_CONFIG [LINK_ADDRESS/BITS]
set -eu
run_dir=$2 config=$3 link=${4:-}

# containerd's shims put sockets under /run/containerd whatever they are told, so /run is the lab's own;
# only the folder with docker's socket is shared with the host.
exec 9<"$run_dir"
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/lock "$run_dir"
# Not canonicalized: the name of the descriptor now leads to the empty folder, the descriptor itself to the host's.
mount --no-canonicalize --bind /proc/self/fd/9 "$run_dir"
exec 9<&-

# kind mounts /lib/modules into its nodes; docker would make the folder on the host where the host has none.
if [ ! -d /lib/modules ]; then
    mkdir -p /run/overlay/upper /run/overlay/work
    mount -t overlay overlay -o lowerdir=/usr/lib,upperdir=/run/overlay/upper,workdir=/run/overlay/work /usr/lib
    mkdir -p /lib/modules
fi

if [ -n "$link" ]; then
    # No way out of this namespace: without a name server every lookup fails at once instead of after a time-out.
    : > /run/resolv.conf
    [ ! -e /etc/resolv.conf ] || mount --bind /run/resolv.conf /etc/resolv.conf
    ip link set lo up
    until ip link show lab0 > /dev/null 2>&1; do sleep 0.05; done
    ip addr add "$link" dev lab0
    ip link set lab0 up
    echo 1 > /proc/sys/net/ipv4/ip_forward
    iptables -N DOCKER-USER
    iptables -I DOCKER-USER -i lab0 -j ACCEPT
fi

# Not exec: bash reaps the orphans of the namespace, dockerd would not.
dockerd --config-file "$config" &
wait $!
