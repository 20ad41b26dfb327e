# The image of proa: one static executable and nothing else.
#
#   docker build -t proa .
#
# Run it as it is (`docker run proa --help`), or take the executable into an image of yours:
#
#   COPY --from=proa /proa /usr/local/bin/proa
#
# The build is native to the platform it runs on; for another one: docker build --platform=linux/arm64.
# Any image with this Rust, a C compiler and a static C library will do.
#
# The build context has no .git; to have `proa --version` name the commit:
#
#   docker build -t proa --build-arg PROA_COMMIT="$(git log -1 --abbrev=12 --format='%h, %cs')" .
ARG RUST_IMAGE=rust:1.95.0-slim-bookworm
FROM ${RUST_IMAGE} AS build
ARG PROA_COMMIT=
WORKDIR /src
COPY . .
# Crates and compiled dependencies are kept between builds; what is to stay must be copied out of there.
# The touch: cargo goes by times, and a kept build may be newer than another checkout's files.
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/src/target,sharing=locked \
    touch src/lib.rs src/main.rs && cargo --locked static && install -m 0555 target/release/proa /proa && /proa --version

FROM scratch
LABEL org.opencontainers.image.title="proa" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
COPY --from=build /proa /proa
# A number, so that runAsNonRoot can tell that it is not root.
USER 65532:65532
ENTRYPOINT ["/proa"]
