# A sidecar to try examples/job.yaml with: it serves GET /healthz, and POST /quitquitquit ends it.
FROM golang:1.26 AS build
WORKDIR /src
COPY tests/cluster/src/sidecar .
RUN CGO_ENABLED=0 go build -trimpath -o /sidecar .

FROM scratch
COPY --from=build /sidecar /sidecar
USER 65532:65532
ENTRYPOINT ["/sidecar"]
