//! [`PodDocument`] -> [`PodView`]. What is missing or null becomes the
//! default that the API documents; only a Pod without containers is no Pod.

use std::time::{Duration, SystemTime};

use k8s_openapi::api::core::v1::{ContainerState, ContainerStateTerminated};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::document::{ContainerSpec, ContainerStatus, Metadata, PodDocument};
use super::probe;
use super::restart::{Policy, RestartRule};
use super::{Container, Ended, NamedPort, PodView, State, Status};

const DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";

impl PodView {
    /// Reads a document; None where it is not a Pod with a container.
    pub fn read(document: PodDocument) -> Option<Self> {
        let PodDocument { kind, metadata, spec, status } = document;
        // Items of a list carry no kind of their own.
        if kind.is_some_and(|kind| kind != "Pod") {
            return None;
        }
        let spec = spec?;
        let status = status.unwrap_or_default();
        let policy = Policy::parse(spec.restart_policy.as_deref()).unwrap_or_default();
        let mut containers: Vec<_> =
            spec.containers?.into_iter().map(|spec| container(policy, false, spec)).collect();
        if containers.is_empty() {
            return None;
        }
        let init = spec.init_containers.unwrap_or_default().into_iter();
        let native = init.filter(|spec| spec.restart_policy.as_deref() == Some("Always"));
        containers.extend(native.map(|spec| container(Policy::Always, true, spec)));
        let statuses = status.container_statuses.into_iter().chain(status.init_container_statuses);
        for status in statuses.flatten() {
            let named = |container: &&mut Container| Some(&container.name) == status.name.as_ref();
            if let Some(container) = containers.iter_mut().find(named) {
                container.status = Some(read_status(&status));
            }
        }
        let Metadata { name, namespace, uid, resource_version, deletion_timestamp, annotations } = metadata?;
        Some(Self {
            name: name?,
            namespace: namespace.unwrap_or_default(),
            uid: uid.unwrap_or_default(),
            resource_version: resource_version.unwrap_or_default(),
            deleting: deletion_timestamp.is_some(),
            default_container: annotations.unwrap_or_default().remove(DEFAULT_CONTAINER),
            grace: spec.termination_grace_period_seconds.and_then(|s| u64::try_from(s).ok()).map(seconds),
            ip: status.pod_ip.and_then(|ip| ip.parse().ok()),
            containers,
        })
    }
}

/// Hostile numbers stay in the range that clocks can add up.
fn seconds(number: u64) -> Duration {
    Duration::from_secs(number.min(u32::MAX.into()))
}

fn container(pod: Policy, native: bool, spec: ContainerSpec) -> Container {
    let restart = RestartRule::new(pod, &spec);
    let ports = spec.ports.unwrap_or_default().into_iter().filter_map(|port| {
        Some(NamedPort { name: port.name, port: u16::try_from(port.container_port).ok()? })
    });
    let mut container = Container {
        name: spec.name.unwrap_or_default(),
        image: spec.image.unwrap_or_default(),
        arguments: spec.command.into_iter().chain(spec.args).flatten().collect(),
        environment: spec
            .env
            .unwrap_or_default()
            .into_iter()
            .filter_map(|v| Some((v.name?, v.value?)))
            .collect(),
        ports: ports.collect(),
        native,
        restart,
        ..Container::default()
    };
    container.readiness = probe::read(spec.readiness_probe, &container);
    container
}

fn read_status(status: &ContainerStatus) -> Status {
    let ended = |state: &Option<ContainerState>| state.as_ref()?.terminated.as_ref().map(read_end);
    let state = status.state.as_ref();
    let read = if let Some(end) = ended(&status.state) {
        State::Terminated(end)
    } else if let Some(running) = state.and_then(|state| state.running.as_ref()) {
        State::Running { since: running.started_at.as_ref().and_then(system_time) }
    } else {
        // "If none of them is specified, the default one is waiting."
        let waiting = state.and_then(|state| state.waiting.clone()).unwrap_or_default();
        State::Waiting {
            reason: waiting.reason.unwrap_or_default(),
            message: waiting.message.unwrap_or_default(),
        }
    };
    Status {
        ready: status.ready.unwrap_or_default(),
        started: status.started,
        restarts: status.restart_count.unwrap_or_default(),
        id: status.container_id.clone().unwrap_or_default(),
        state: read,
        last_end: ended(&status.last_state),
    }
}

fn read_end(end: &ContainerStateTerminated) -> Ended {
    Ended { exit_code: end.exit_code, reason: end.reason.clone().unwrap_or_default() }
}

fn system_time(time: &Time) -> Option<SystemTime> {
    let since = u64::try_from(time.0.as_second()).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(since))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pod::Readiness;
    use crate::pod::probe::ProbeKind;

    fn read(text: &str) -> Option<PodView> {
        PodView::read(serde_json::from_str(text).ok()?)
    }

    #[test]
    fn a_pod_of_the_kubelet() {
        let pod = read(
            r#"{"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "p", "namespace": "n", "uid": "u",
              "resourceVersion": "7", "annotations": {"kubectl.kubernetes.io/default-container": "main"},
              "managedFields": [{"manager": "kubelet", "fieldsV1": {"f:status": {}}}]},
            "spec": {"restartPolicy": "OnFailure", "terminationGracePeriodSeconds": 45, "someday": {"new": [1]},
              "initContainers": [{"name": "setup"}, {"name": "mesh", "restartPolicy": "Always"}],
              "containers": [{"name": "main", "command": ["proa"], "args": ["x"]},
                {"name": "web", "image": "nginx:1", "ports": [{"name": "http", "containerPort": 8080}],
                 "readinessProbe": {"httpGet": {"path": "ready?x=1", "port": "http", "scheme": "HTTPS",
                   "httpHeaders": [{"name": "X", "value": "y"}]}, "initialDelaySeconds": 3, "successThreshold": 2}}]},
            "status": {"podIP": "10.0.0.9", "podIPs": [{"ip": "10.0.0.9"}], "containerStatuses": [
                {"name": "web", "ready": true, "started": true, "restartCount": 1, "containerID": "c://1", "image": "", "imageID": "",
                 "state": {"running": {"startedAt": "2026-01-02T03:04:05Z"}},
                 "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}],
              "initContainerStatuses": [{"name": "mesh", "ready": false, "state": {"waiting": {"reason": "PodInitializing"}}}],
              "ephemeralContainerStatuses": [{"name": "debug"}]}}"#,
        )
        .unwrap();
        let names: Vec<_> = pod.containers.iter().map(|c| (c.name.as_str(), c.native)).collect();
        assert_eq!(names, [("main", false), ("web", false), ("mesh", true)]);
        assert_eq!((pod.grace, pod.deleting), (Some(Duration::from_secs(45)), false));
        assert_eq!(pod.container("main").unwrap().arguments, ["proa", "x"]);
        let web = pod.container("web").unwrap();
        let Readiness::Probe(probe) = &web.readiness else { panic!("{:?}", web.readiness) };
        assert_eq!((probe.port, probe.successes, probe.initial_delay.as_secs()), (8080, 2, 3));
        assert!(matches!(&probe.kind, ProbeKind::Http { https: true, target, .. } if target == "/ready?x=1"));
        let status = web.status.as_ref().unwrap();
        assert!(matches!(status.state, State::Running { since: Some(_) }));
        assert_eq!(status.last_end.as_ref().unwrap().exit_code, 137);
        assert_eq!(pod.container("main").unwrap().status, None);
        let mesh = pod.container("mesh").unwrap().status.as_ref().unwrap();
        assert!(matches!(&mesh.state, State::Waiting { reason, .. } if reason == "PodInitializing"));
    }

    #[test]
    fn null_and_nothing_are_the_same() {
        let pod = read(
            r#"{"kind": "Pod", "metadata": {"name": "p", "annotations": null, "deletionTimestamp": null},
            "spec": {"initContainers": null, "restartPolicy": null,
              "containers": [{"name": "a", "ports": null, "args": null, "env": null, "readinessProbe": null}]},
            "status": {"containerStatuses": null, "podIP": ""}}"#,
        )
        .unwrap();
        let bare = read(r#"{"metadata": {"name": "p"}, "spec": {"containers": [{"name": "a"}]}}"#).unwrap();
        assert_eq!(pod, bare);
        assert_eq!(bare.container("a").unwrap().restart.policy, Policy::Always);
    }

    #[test]
    fn what_is_no_pod() {
        for text in [
            "{}",
            r#"{"kind": "Status", "metadata": {}, "status": "Failure"}"#,
            r#"{"kind": "Service", "metadata": {"name": "p"}, "spec": {"containers": [{"name": "a"}]}}"#,
            r#"{"kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": []}}"#,
            r#"{"kind": "Pod", "metadata": {"name": "p"}, "spec": null}"#,
            r#"{"kind": "Pod", "spec": {"containers": [{"name": "a"}]}}"#,
            r#"{"kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": "none"}}"#,
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn numbers_out_of_range_do_not_panic() {
        let pod = read(
            r#"{"metadata": {"name": "p"}, "spec": {"terminationGracePeriodSeconds": 9223372036854775807,
              "containers": [{"name": "a", "ports": [{"containerPort": 70000}],
                "readinessProbe": {"tcpSocket": {"port": 0}, "initialDelaySeconds": -5}},
               {"name": "b", "readinessProbe": {"tcpSocket": {"port": "nowhere"}}}]},
            "status": {"containerStatuses": [{"name": "a", "restartCount": -1,
                "state": {"running": {"startedAt": "0001-01-01T00:00:00Z"}}}]}}"#,
        )
        .unwrap();
        assert!(pod.grace.unwrap() <= Duration::from_secs(u32::MAX.into()));
        assert!(pod.containers.iter().all(|container| container.readiness == Readiness::ByKubelet));
    }
}
