#!/bin/bash
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Finishes the node's root file system TREE from within: services, container spec, and the container images in IMAGES.
# Runs as the first process of mount and pid namespaces of its own, so nothing that it mounts or starts outlives it.
set -o errexit -o nounset -o pipefail
tree=$1 images=$2

mount --make-rprivate /
mount -t proc proc "$tree/proc"
mount -t tmpfs tmpfs "$tree/run"
mount -t tmpfs tmpfs "$tree/tmp"
mount --rbind /dev "$tree/dev"
mkdir "$tree/run/images"
mount --bind "$images" "$tree/run/images"

chroot "$tree" /bin/bash -o errexit -o nounset -o pipefail <<'INSIDE'
# As in the Dockerfile of kind's base image; binfmt would register things for the whole kernel.
systemctl enable kubelet.service containerd.service undo-mount-hacks.service
systemctl mask systemd-binfmt.service
ctr oci spec |
    jq '.hooks.createContainer = [{"path": "/kind/bin/mount-product-files.sh"}] | del(.process.rlimits)' \
        > /etc/containerd/cri-base.json

containerd > /tmp/containerd.log 2>&1 &
trap 'tail -n 20 /tmp/containerd.log >&2' ERR
for _ in {1..100}; do
    ctr version > /dev/null 2>&1 && break
    sleep 0.1
done
# The way in which kind itself fills its node images.
for archive in /run/images/*.tar; do
    ctr --namespace=k8s.io images import --no-unpack --all-platforms --digests "$archive"
done
ctr --namespace=k8s.io images list --quiet
kill %1
wait %1 || true
INSIDE
