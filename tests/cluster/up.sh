#!/usr/bin/env bash
# Brings up a one-node Kubernetes from nothing: packages, builds, images, then the cluster.
# Where some or all of it is there already, it does what is missing.
#
# One process (init.sh, pid 1 of an own pid namespace) holds everything; its mounts are private
# and its network is a namespace.
set -euo pipefail
. "$(dirname "$0")/env.sh"

wait_for() { # wait_for SECONDS WHAT COMMAND...
  local end=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" &>/dev/null; do
    if ! up || ((SECONDS >= end)); then
      echo "up.sh: $what failed; see $STATE/log" >&2
      tail -n 5 "$STATE"/log/*.log >&2
      exit 1
    fi
    sleep 0.2
  done
}

cgroup() {
  if [[ -e /sys/fs/cgroup/cgroup.controllers ]]; then
    mkdir -p "/sys/fs/cgroup/$NAME" # cgroups v2: not tried
    return
  fi
  for hierarchy in /sys/fs/cgroup/*/; do
    [[ $hierarchy == */unified/ ]] || mkdir -p "$hierarchy$NAME"
  done
  # A v1 cpuset starts empty, and nothing can be put into an empty one.
  for file in cpuset.cpus cpuset.mems; do
    cat "/sys/fs/cgroup/cpuset/$file" >"/sys/fs/cgroup/cpuset/$NAME/$file"
  done
}

start() {
  mkdir -p "$STATE/log"
  "$HERE/pki.sh"
  ip netns add "$NAME"
  ip link add "$NAME" type veth peer name eth0 netns "$NAME"
  ip addr add "$HOST_IP/30" dev "$NAME"
  ip link set "$NAME" up
  cgroup
  # nsenter rather than 'ip netns exec': that one mounts a new /sys, without cgroups.
  setsid nsenter --net="/run/netns/$NAME" \
    unshare --mount --pid --fork --kill-child --mount-proc \
    "$HERE/init.sh" </dev/null &>"$STATE/log/init.log" &
  echo "$! $(cut -d' ' -f22 "/proc/$!/stat") $STATE" >"$HOLDER"
}

up || "$HERE/down.sh" # what a crash or another copy of these scripts left
"$HERE/build.sh"
"$HERE/images.sh"
if ! up; then
  start
  wait_for 60 containerd ctr -a "$STATE/containerd.sock" version
  for image in "$HERE"/images/*.tar; do
    ctr -a "$STATE/containerd.sock" -n k8s.io images import "$image" >/dev/null
  done
fi
wait_for 60 'the API server' kubectl get --raw /readyz
wait_for 60 'the node' kubectl wait --for=condition=Ready node/node --timeout=1s
wait_for 60 'the controller manager' kubectl get serviceaccount/default configmap/kube-root-ca.crt
echo "up: export KUBECONFIG=$KUBECONFIG PATH=$BIN:\$PATH"
