#!/usr/bin/env bash
# Ends the cluster and removes all it left but bin/ and images/. The kernel ends every process of
# the pid namespace, and drops its mounts, when its pid 1 ends.
set -euo pipefail
. "$(dirname "$0")/env.sh"

if holder; then
  # Its only child is that pid 1; it ends itself once that one, and so all, is gone.
  # shellcheck disable=SC2046 # a list of pids
  kill -KILL $(<"/proc/$pid/task/$pid/children")
  for _ in {1..100}; do
    grep -qs '^State:[[:space:]]*[^Z]' "/proc/$pid/status" || break
    sleep 0.1
  done
  rm -rf "$state"
fi
rm -rf "$HOLDER" "$STATE"
ip link del "$NAME" 2>/dev/null || true
ip netns del "$NAME" 2>/dev/null || true
for root in /sys/fs/cgroup/"$NAME" /sys/fs/cgroup/*/"$NAME"; do
  [[ ! -d $root ]] || for _ in {1..50}; do
    find "$root" -depth -type d -exec rmdir {} + 2>/dev/null && break
    sleep 0.1
  done
done
