#!/usr/bin/env bash
# Builds the three Dockerfiles as their comments say, but with buildah, which needs no engine, and
# runs what comes out on the cluster: proa as its image is, and examples/job.yaml as it stands.
#
# No image registry is asked. What the Dockerfiles start from is made here: Debian with a C compiler,
# into which this machine's Rust and Go are mounted, and the tests' busybox. Crates are vendored.
# Layers, caches and crates stay in target/dockerfile; the first run takes some four minutes, a
# later one two.
set -euo pipefail
. "$(dirname "$0")/env.sh"
cd "$ROOT"
WORK=$(realpath -m "${CARGO_TARGET_DIR:-target}")/dockerfile
export TMPDIR=$WORK/tmp # where buildah keeps the caches of `RUN --mount`
mkdir -p "$TMPDIR" "$WORK/go"

buildah() { nice buildah --root "$WORK/store" --runroot "$WORK/run" --storage-driver vfs "$@"; }

packages() {
  local package missing=()
  for package in buildah debootstrap; do
    [[ $(dpkg-query -Wf '${Status}' "$package" 2>/dev/null) == *' installed' ]] || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  apt-get update -q
  DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "${missing[@]}"
}

# Debian with gcc, under the names that the Dockerfiles start from. The tools are mounted.
base() {
  local suite container name path=/usr/local/rust/bin:/usr/local/go/bin:/usr/sbin:/usr/bin:/sbin:/bin
  suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
  if ! buildah inspect --type image "localhost/debian:$suite" &>/dev/null; then
    rm -rf "$WORK/debian"
    debootstrap --variant=minbase --include=gcc,libc6-dev "$suite" "$WORK/debian" >"$WORK/debootstrap.log"
    container=$(buildah from scratch)
    buildah add --quiet "$container" "$WORK/debian" / >/dev/null
    buildah config --env "PATH=$path" --env CARGO_HOME=/usr/local/cargo "$container"
    buildah commit --quiet --rm "$container" "localhost/debian:$suite" >/dev/null
    rm -rf "$WORK/debian"
  fi
  for name in "$RUST_IMAGE" "$(from examples/sidecar.Dockerfile)"; do
    buildah tag "localhost/debian:$suite" "localhost/$name"
  done
  buildah tag "$(buildah pull --quiet "oci-archive:$HERE/images/localhost_busybox_1.tar")" localhost/busybox:1
}

# from FILE: the first image that it starts from
from() { sed -n 's/^FROM \([^ $]*\).*/\1/p' "$1" | head -n 1; }

# Every crate that Cargo.lock names, and the setting that makes Cargo look there.
crates() {
  mkdir -p "$WORK/cargo"
  cargo vendor --quiet --locked "$WORK/cargo/vendor" >/dev/null
  printf '[source.%s]\n%s\n' crates-io 'replace-with = "vendored"' \
    vendored 'directory = "/usr/local/cargo/vendor"' >"$WORK/cargo/config.toml"
}

# build IMAGE FILE: what `docker build -t IMAGE -f FILE .` does
build() {
  local began=$SECONDS
  buildah build --isolation chroot --network host --pull-never --tag "$1" --file "$2" \
    --volume "$(rustc --print sysroot):/usr/local/rust:ro" --volume "$WORK/cargo:/usr/local/cargo" \
    --volume "$(go env GOROOT):/usr/local/go:ro" --volume "$WORK/go:/root/.cache/go-build" . &>"$WORK/build.log" || { cat "$WORK/build.log"; return 1; }
  rm -f "$WORK/image.tar"
  buildah push --quiet "$1" "docker-archive:$WORK/image.tar:$1"
  ctr -a "$STATE/containerd.sock" -n k8s.io images import "$WORK/image.tar" >/dev/null
  echo "$1: $((SECONDS - began)) s, $(stat -c %s "$WORK/image.tar") bytes"
}

fail() {
  echo "dockerfile.sh: $*" >&2
  kubectl -n "$namespace" get pods -o yaml >&2
  kubectl -n "$namespace" get events >&2
  kubectl -n "$namespace" logs job/example --all-containers >&2
  exit 1
}

# proa as its image is: its entrypoint, its user, and nothing writable.
version() {
  local wanted got
  wanted=proa\ $(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)
  kubectl -n "$namespace" create -f - >/dev/null <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: version}
spec:
  restartPolicy: Never
  containers:
  - name: main
    image: example.com/proa:1
    args: [--version]
    securityContext: {runAsNonRoot: true, readOnlyRootFilesystem: true}
Y
  kubectl -n "$namespace" wait --for=jsonpath='{.status.phase}'=Succeeded pod/version --timeout=60s >/dev/null ||
    fail 'the image does not run'
  got=$(kubectl -n "$namespace" logs version)
  [[ $got == "$wanted"* ]] || fail "it says $got, not $wanted"
}

# The example, with the images that it names.
job() {
  local log
  kubectl -n "$namespace" apply -f examples/job.yaml >/dev/null
  kubectl -n "$namespace" wait --for=condition=Complete job/example --timeout=120s >/dev/null ||
    fail 'examples/job.yaml does not complete'
  log=$(kubectl -n "$namespace" logs job/example --container=main 2>&1)
  [[ $log == *$'\ndone\n'*'done code=0'* ]] || fail "the log of examples/job.yaml is $log"
}

packages
kubectl get --raw /readyz &>/dev/null || { echo 'dockerfile.sh: the cluster is not up: run tests/cluster/up.sh' >&2; exit 1; }
RUST_IMAGE=$(sed -n 's/^ARG RUST_IMAGE=//p' Dockerfile)
crates
base
build example.com/proa:1 Dockerfile
build example.com/your-app:1 examples/Dockerfile
build example.com/your-sidecar:1 examples/sidecar.Dockerfile
# Stages that nothing is run in leave a container, and a new image its predecessor.
buildah rm --all >/dev/null
buildah rmi --prune >/dev/null
rm -f "$WORK/image.tar"

namespace=dockerfile-$$
kubectl create namespace "$namespace" >/dev/null
trap 'kubectl delete namespace "$namespace" --wait=false >/dev/null' EXIT
kubectl -n "$namespace" wait --for=create serviceaccount/default --timeout=60s >/dev/null
version
job
echo 'the images run, and examples/job.yaml completes with them'
