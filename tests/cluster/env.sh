# Settings that the scripts share; sourced. The name and the addresses are the machine's, so there
# is one cluster a machine, whichever copy of these scripts runs it.
# shellcheck shell=bash disable=SC2034
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$HERE/../..
BIN=$HERE/bin                       # what build.sh made
STATE=$HERE/state                   # everything the cluster writes
NAME=proa-cluster                   # network namespace, veth, cgroup
HOLDER=/run/$NAME                   # pid and start time of the process that holds it all, and its state
HOST_IP=172.31.255.1 NODE_IP=172.31.255.2
POD_CIDR=10.244.0.0/24 SERVICE_CIDR=10.96.0.0/24 API_IP=10.96.0.1 DNS_IP=10.96.0.10
PATH=$BIN:$PATH
export KUBECONFIG=$STATE/admin.kubeconfig
export CONTAINERD_SUPPRESS_DEPRECATION_WARNINGS=1 # ctr's, with every call, of cgroups v1

# holder: sets pid and state of the running cluster, false where none runs. The start time tells
# its process from a later one with the same pid.
holder() {
  local start
  read -r pid start state 2>/dev/null <"$HOLDER" || return 1
  [[ $(cut -d' ' -f22 "/proc/$pid/stat" 2>/dev/null) == "$start" ]]
}
up() { holder && [[ $state == "$STATE" ]]; }
