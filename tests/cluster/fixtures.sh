#!/usr/bin/env bash
# Writes documents of tests/fixtures/pods anew, as the API server of this cluster sends them: up.sh first.
set -euo pipefail
. "$(dirname "$0")/env.sh"
cd "$ROOT/tests/fixtures/pods"
namespace=fixtures-$$
k() { kubectl --namespace "$namespace" "$@"; }
trap 'k delete namespace "$namespace" --wait=false' EXIT
kubectl create namespace "$namespace"
k wait --for=create serviceaccount/default --timeout=60s

# until_is POD JSONPATH VALUE: waits until the Pod's field has this value.
until_is() { k wait "pod/$1" --for="jsonpath=$2=$3" --timeout=180s; }
# state CONTAINER FIELD: the path of a field of its status
state() { echo "{.status.containerStatuses[?(@.name==\"$1\")]$2}"; }
write() { kubectl get --raw "/api/v1/namespaces/$namespace/pods/$1" | python3 -m json.tool >"$1.json"; }

main='{name: main, image: "localhost/busybox:1", command: [sleep, "600"]}'
never_ready='{exec: {command: ["false"]}}'
k create -f - <<Y
apiVersion: v1
kind: Pod
metadata: {name: running, labels: {app: example}, annotations: {example.com/note: kept}}
spec:
  restartPolicy: Never
  containers:
  - $main
  - {name: sidecar, image: "localhost/sidecar:1", ports: [{name: http, containerPort: 8080}], readinessProbe: $never_ready}
---
apiVersion: v1
kind: Pod
metadata: {name: native-sidecar}
spec:
  restartPolicy: Never
  initContainers:
  - {name: setup, image: "localhost/busybox:1", command: ["true"]}
  - {name: proxy, image: "localhost/sidecar:1", restartPolicy: Always, readinessProbe: $never_ready}
  containers:
  - $main
---
apiVersion: v1
kind: Pod
metadata: {name: crash-loop}
spec:
  restartPolicy: OnFailure
  containers:
  - $main
  - {name: crashes, image: "localhost/busybox:1", command: [sh, -c, "exit 3"], readinessProbe: $never_ready}
  - {name: not-pulled, image: "localhost/no-such-image:1", readinessProbe: $never_ready}
---
apiVersion: v1
kind: Pod
metadata: {name: ended}
spec:
  restartPolicy: Never
  containers:
  - $main
  - {name: sidecar, image: "localhost/busybox:1", command: [sh, -c, "exit 3"], readinessProbe: $never_ready}
---
apiVersion: v1
kind: Pod
metadata: {name: deleting}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 20
  containers:
  - $main
  - {name: sidecar, image: "localhost/sidecar:1", readinessProbe: $never_ready}
Y
until_is running "$(state sidecar .started)" true
k debug running --image=localhost/busybox:1 --container=debugger --profile=general -- sleep 600
until_is running '{.status.ephemeralContainerStatuses[0].restartCount}' 0
k wait pod/running --for='jsonpath={.status.ephemeralContainerStatuses[0].state.running.startedAt}' --timeout=60s
write running
k wait pod/native-sidecar --for='jsonpath={.status.containerStatuses[0].state.running.startedAt}' --timeout=60s
write native-sidecar
until_is ended "$(state sidecar .state.terminated.exitCode)" 3
k wait pod/ended --for="jsonpath=$(state main .state.running.startedAt)" --timeout=60s
write ended
until_is deleting "$(state sidecar .started)" true
k delete pod deleting --wait=false
k wait pod/deleting --for='jsonpath={.metadata.deletionTimestamp}' --timeout=60s
write deleting
until_is crash-loop "$(state crashes .restartCount)" 2
until_is crash-loop "$(state crashes .state.waiting.reason)" CrashLoopBackOff
until_is crash-loop "$(state not-pulled .state.waiting.reason)" ImagePullBackOff
write crash-loop
