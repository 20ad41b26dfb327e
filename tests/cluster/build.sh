#!/usr/bin/env bash
# Installs the Debian packages the cluster is made of, and builds the rest (the control plane, the
# kubelet, kubectl, etcd; containerd, whose Debian package is too old) from Go modules into bin/.
# k8s/go.mod and containerd/go.mod pin the versions. The first build takes a quarter of an hour or
# more; Go's build cache is kept, so that a later one, in whatever clone, takes a minute, and none
# is made where bin/ is as it should be.
set -euo pipefail
. "$(dirname "$0")/env.sh"

packages=(runc containernetworking-plugins iptables busybox-static
  ca-certificates curl gcc iproute2 libc6-dev openssl python3 util-linux)
python3 -m pip --version &>/dev/null || packages+=(python3-pip) # one from elsewhere will do
missing=()
for package in "${packages[@]}"; do
  [[ $(dpkg-query -Wf '${Status}' "$package" 2>/dev/null) == *' installed' ]] || missing+=("$package")
done
if ((${#missing[@]})); then
  apt-get update -q
  DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "${missing[@]}"
fi

cd "$HERE"
made=$(cat {k8s,containerd}/go.{mod,sum} build.sh | sha256sum)
[[ $(cat "$BIN/made" 2>/dev/null) != "$made" ]] || exit 0
export CGO_ENABLED=0 GOFLAGS=-mod=readonly
mkdir -p "$BIN"

# build FOLDER [LDFLAGS]: all the tools that its go.mod names
build() {
  local tool name began
  cd "$HERE/$1"
  for tool in $(go list tool); do
    name=${tool##*/}
    [[ $tool != go.etcd.io/* ]] || name=etcd # its package is called `server`
    began=$SECONDS
    nice go build -trimpath -buildvcs=false -ldflags "-s -w ${2-}" -o "$BIN/$name" "$tool"
    echo "$name: $((SECONDS - began)) s"
  done
}

version=$(cd k8s && go list -m -f '{{.Version}}' k8s.io/kubernetes)
IFS=. read -r major minor _ <<<"${version#v}"
stamp=
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
  stamp+=" -X $package.gitVersion=$version -X $package.gitMajor=$major -X $package.gitMinor=$minor"
  stamp+=" -X $package.gitTreeState=clean"
done
build k8s "$stamp"
build containerd
echo "$made" >"$BIN/made"
