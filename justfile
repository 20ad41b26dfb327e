# Each recipe is plain cargo, so nobody needs `just`. CI runs .ci/run, which has its own steps.

# List the recipes.
default:
    @just --list

# The main job, on this machine: gate, run and teardown against an embedded API server.
demo:
    cargo run --example demo

# Everything that needs neither root nor a cluster.
test:
    cargo test

# Format, lints, documentation.
check:
    cargo fmt --check
    cargo clippy --all-targets -- -D warnings
    cargo clippy --all-targets --no-default-features -- -D warnings
    cargo clippy --all-targets --all-features -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --document-private-items

# Licences, bans, sources and advisories of the dependencies.
deny:
    cargo deny check

# The static binary that ships: target/release/proa.
static:
    cargo static

# Against other init programs, as PID 1.
pid1:
    cargo test --test pid1

# Against a real one-node Kubernetes (root, Debian, Go).
cluster:
    tests/cluster/up.sh
    cargo test --test cluster
    tests/cluster/down.sh

# Write the blocks of the README that are made from files and from --help, and the picture.
docs:
    python3 docs/flow.py > docs/flow.svg
    PROA_UPDATE_README=1 cargo test --test docs
