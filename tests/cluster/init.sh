#!/usr/bin/env bash
# Pid 1 of the cluster's pid namespace (see up.sh): private mounts, network,
# then every daemon. bash reaps the orphans that the containerd shims leave.
set -euo pipefail
. "$(dirname "$0")/env.sh"
pki=$STATE/pki

mount --make-rshared /
for dir in /run /var/lib; do # default paths of containerd, kubelet, CNI: private
  mount -t tmpfs -o mode=755 tmpfs $dir
done
mkdir -p /run/lock "$STATE"/{etcd,kubelet,containerd,pods,plugins,cni} /var/lib/kubelet
mount --bind "$STATE/log" /var/log
# The kubelet insists on writing these six, which belong to the whole machine.
n=0
for tunable in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 \
  kernel/panic_on_oops=1 kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000; do
  n=$((n + 1))
  echo "${tunable#*=}" >"/run/tunable$n"
  mount --bind "/run/tunable$n" "/proc/sys/${tunable%=*}"
done

ip link set lo up
ip addr add "$NODE_IP/30" dev eth0
ip link set eth0 up
ip route add default via "$HOST_IP"
sysctl -qw net.ipv4.ip_forward=1

cat >"$STATE/cni/10-bridge.conflist" <<J
{"cniVersion": "1.0.0", "name": "pods", "plugins": [{
  "type": "bridge", "bridge": "cni0", "isDefaultGateway": true, "hairpinMode": true,
  "ipam": {"type": "host-local", "ranges": [[{"subnet": "$POD_CIDR"}]]}
}]}
J

cat >"$STATE/containerd.toml" <<T
version = 3
root = "$STATE/containerd"
[grpc]
address = "$STATE/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
path = "/run/containerd/opt"
[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "localhost/pause:1"
[plugins."io.containerd.cri.v1.runtime"]
restrict_oom_score_adj = true # no CAP_SYS_RESOURCE here: scores cannot be lowered
[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["/usr/lib/cni"] # where Debian puts them
conf_dir = "$STATE/cni"
T

cat >"$STATE/kubelet.yaml" <<Y
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $NODE_IP
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $pki/ca.crt}}
authorization: {mode: Webhook}
tlsCertFile: $pki/kubelet-server.crt
tlsPrivateKeyFile: $pki/kubelet-server.key
containerRuntimeEndpoint: unix://$STATE/containerd.sock
failCgroupV1: false
cgroupDriver: cgroupfs
cgroupRoot: /$NAME
clusterDNS: [$DNS_IP]
clusterDomain: cluster.local
resolvConf: $STATE/resolv.conf
podLogsDir: $STATE/pods
volumePluginDir: $STATE/plugins
failSwapOn: false
oomScoreAdj: 0
maxOpenFiles: $(ulimit -Hn)
imageGCHighThresholdPercent: 100
maxPods: 220 # what POD_CIDR has room for
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%}
Y
# containerd tells the kubelet of its containers' ends; otherwise the kubelet looks once a second.
[[ ! ${EVENTED_PLEG-} ]] || echo 'featureGates: {EventedPLEG: true}' >>"$STATE/kubelet.yaml"
echo "nameserver $DNS_IP" >"$STATE/resolv.conf"

# What Pods ask about Pods, and what the kubelet says of them, for the figures: log/audit.log.
cat >"$STATE/audit.yaml" <<Y
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
- {level: None, userGroups: ["system:serviceaccounts:kube-system"]}
- {level: Metadata, userGroups: ["system:serviceaccounts"], resources: [{group: "", resources: [pods]}]}
- {level: Metadata, userGroups: ["system:nodes"], verbs: [patch], resources: [{group: "", resources: [pods/status]}]}
- {level: None}
Y

run() { "$@" &>"$STATE/log/$(basename "$1").log" & }

run etcd --data-dir "$STATE/etcd" --unsafe-no-fsync
run kube-apiserver \
  --etcd-servers http://127.0.0.1:2379 \
  --bind-address 0.0.0.0 --secure-port 443 --advertise-address "$NODE_IP" \
  --service-cluster-ip-range "$SERVICE_CIDR" \
  --authorization-mode Node,RBAC --enable-admission-plugins NodeRestriction --allow-privileged \
  --audit-policy-file "$STATE/audit.yaml" --audit-log-path "$STATE/log/audit.log" \
  --client-ca-file "$pki/ca.crt" \
  --tls-cert-file "$pki/apiserver.crt" --tls-private-key-file "$pki/apiserver.key" \
  --kubelet-certificate-authority "$pki/ca.crt" --kubelet-preferred-address-types InternalIP \
  --kubelet-client-certificate "$pki/apiserver-kubelet-client.crt" \
  --kubelet-client-key "$pki/apiserver-kubelet-client.key" \
  --service-account-issuer https://kubernetes.default.svc.cluster.local \
  --service-account-key-file "$pki/sa.pub" --service-account-signing-key-file "$pki/sa.key"
run containerd --config "$STATE/containerd.toml"
# The controller manager gives up on an API server that is not there within 10 s.
timeout 60 bash -c "until curl -fs --cacert '$pki/ca.crt' https://127.0.0.1/readyz; do sleep 0.2; done"
run kube-controller-manager \
  --kubeconfig "$STATE/controller-manager.kubeconfig" --leader-elect=false --bind-address 127.0.0.1 \
  --use-service-account-credentials --service-account-private-key-file "$pki/sa.key" \
  --root-ca-file "$pki/ca.crt" \
  --cluster-signing-cert-file "$pki/ca.crt" --cluster-signing-key-file "$pki/ca.key"
run kube-scheduler --kubeconfig "$STATE/scheduler.kubeconfig" --leader-elect=false --bind-address 127.0.0.1
run kubelet --config "$STATE/kubelet.yaml" --kubeconfig "$STATE/kubelet.kubeconfig" \
  --root-dir "$STATE/kubelet" --node-ip "$NODE_IP" --hostname-override node
run kube-proxy --kubeconfig "$STATE/proxy.kubeconfig" --hostname-override node \
  --cluster-cidr "$POD_CIDR" --conntrack-max-per-core 0 --conntrack-tcp-timeout-established 0 \
  --conntrack-tcp-timeout-close-wait 0 # which belong to the whole machine

wait -n && status=0 || status=$?
echo "init.sh: a daemon ended with status $status, and so the cluster does" >&2
