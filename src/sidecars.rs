//! The sidecars that `proa` knows: one table, one row each. A new one is a
//! new row; nothing else changes (`docs/add-a-sidecar.md`).
//!
//! The facts come from the sidecars' sources and documentation, named in each
//! row, and were tried where the README's table says so.

use crate::plan::Method;
use crate::pod::{Container, Readiness};

/// A row.
#[derive(Debug)]
pub struct Known {
    /// The sidecar as its makers call it.
    pub title: &'static str,
    /// Container names that its injector or chart gives.
    pub containers: &'static [&'static str],
    /// Images, organisation included, without registry and tag.
    pub images: &'static [&'static str],
    pub stop: Stop,
    /// Asked instead of its readiness probe, where that one waits for the
    /// main container: port and path.
    pub ready: Option<(Port, &'static str)>,
    /// A header that carries a secret: its name, and the variable of our own
    /// environment that holds it.
    pub header: Option<(&'static str, &'static str)>,
    /// What helps when it answers 403, 404 or 405, or not at all.
    pub hint: &'static str,
    /// Where the facts are from.
    pub source: &'static str,
}

/// How it is asked to stop.
#[derive(Debug)]
pub enum Stop {
    Http {
        method: Method,
        port: Port,
        path: &'static str,
    },
    /// It has no endpoint.
    None,
    /// It sees by itself that the others have ended, and only then ends.
    AfterUs,
}

/// Which port on 127.0.0.1.
#[derive(Debug)]
pub struct Port {
    /// Flags of its command line that change it.
    flags: &'static [&'static str],
    /// Variables of its environment that change it; `HOST:PORT` is read too.
    variables: &'static [&'static str],
    /// The `containerPort` of this name is it.
    named: Option<&'static str>,
    /// The port of its readiness probe is it, where that asks for this path.
    probed: Option<&'static str>,
    default: u16,
}

const fn fixed(port: u16) -> Port {
    Port { flags: &[], variables: &[], named: None, probed: None, default: port }
}

const ENVOY_ADMIN: Port =
    Port { flags: &[], variables: &[], named: Some("proxy-admin"), probed: Some("/ready"), default: 9901 };

const fn sql_admin(variable: &'static [&'static str]) -> Port {
    Port { flags: &["--admin-port"], variables: variable, named: None, probed: None, default: 9091 }
}

/// What most rows have in common.
const ROW: Known = Known {
    title: "",
    containers: &[],
    images: &[],
    stop: Stop::None,
    ready: None,
    header: None,
    hint: "it has no endpoint to stop it",
    source: "",
};

/// The table.
pub static TABLE: &[Known] = &[
    Known {
        title: "Istio",
        containers: &["istio-proxy"],
        images: &["istio/proxyv2", "istio-release/proxyv2"],
        stop: Stop::Http { method: Method::Post, port: fixed(15020), path: "/quitquitquit" },
        hint: "pilot-agent takes POST from loopback only",
        source: "istio: pilot/cmd/pilot-agent/status/server.go",
        ..ROW
    },
    Known {
        title: "Linkerd",
        containers: &["linkerd-proxy"],
        images: &["linkerd/proxy"],
        stop: Stop::Http {
            method: Method::Post,
            port: Port {
                flags: &[],
                variables: &["LINKERD2_PROXY_ADMIN_LISTEN_ADDR"],
                named: Some("linkerd-admin"),
                probed: None,
                default: 4191,
            },
            path: "/shutdown",
        },
        hint: "since 2.16 the endpoint is off: annotate the Pod with config.linkerd.io/proxy-admin-shutdown: enabled",
        source: "linkerd2-proxy: linkerd/app/admin/src/server.rs; linkerd2#12705",
        ..ROW
    },
    Known {
        title: "Cloud SQL Proxy 1",
        images: &["cloudsql-docker/gce-proxy"],
        hint: "version 1 has no endpoint to stop it; version 2 has --quitquitquit",
        source: "cloud-sql-proxy#388",
        ..ROW
    },
    Known {
        title: "Cloud SQL Auth Proxy",
        containers: &["cloud-sql-proxy", "cloudsql-proxy"],
        images: &["cloud-sql-connectors/cloud-sql-proxy"],
        stop: Stop::Http {
            method: Method::Post,
            port: sql_admin(&["CSQL_PROXY_ADMIN_PORT"]),
            path: "/quitquitquit",
        },
        hint: "start it with --quitquitquit",
        source: "cloud-sql-proxy: cmd/root.go, 2.1.0 and later",
        ..ROW
    },
    Known {
        title: "AlloyDB Auth Proxy",
        containers: &["alloydb-auth-proxy"],
        images: &["alloydb-connectors/alloydb-auth-proxy"],
        stop: Stop::Http {
            method: Method::Post,
            port: sql_admin(&["ALLOYDB_PROXY_ADMIN_PORT"]),
            path: "/quitquitquit",
        },
        hint: "start it with --quitquitquit",
        source: "alloydb-auth-proxy: cmd/root.go, 1.2.0 and later",
        ..ROW
    },
    Known {
        title: "Vault Agent",
        containers: &["vault-agent"],
        stop: Stop::Http { method: Method::Post, port: fixed(8200), path: "/agent/v1/quit" },
        hint: "annotate the Pod with vault.hashicorp.com/agent-enable-quit: \"true\"",
        source: "vault-k8s: agent-inject/agent/annotations.go, 0.16.0 and later",
        ..ROW
    },
    Known {
        title: "Consul Dataplane",
        containers: &["consul-dataplane"],
        images: &["hashicorp/consul-dataplane"],
        stop: Stop::Http {
            method: Method::Post,
            port: Port {
                flags: &["-graceful-port", "--graceful-port"],
                variables: &["DP_GRACEFUL_PORT"],
                named: None,
                probed: None,
                default: 20600,
            },
            path: "/graceful_shutdown",
        },
        hint: "it needs its lifecycle management (-shutdown-drain-listeners and its like), the chart's default",
        source: "consul-dataplane: pkg/consuldp/lifecycle.go; consul-k8s chart",
        ..ROW
    },
    Known {
        title: "Dapr",
        containers: &["daprd"],
        images: &["daprio/daprd", "dapr/daprd"],
        stop: Stop::Http { method: Method::Post, port: DAPR_HTTP, path: "/v1.0/shutdown" },
        ready: Some((DAPR_HTTP, "/v1.0/healthz/outbound")),
        header: Some(("dapr-api-token", "DAPR_API_TOKEN")),
        hint: "with an API token it also wants the header dapr-api-token, which proa takes from DAPR_API_TOKEN",
        source: "dapr: pkg/api/http, pkg/runtime/wait.go",
    },
    Known {
        title: "Kuma",
        containers: &["kuma-sidecar"],
        images: &["kumahq/kuma-dp", "kong/kuma-dp"],
        stop: Stop::Http { method: Method::Post, port: fixed(9901), path: "/quitquitquit" },
        hint: "it is the Envoy admin port of kuma-dp",
        source: "kuma: app/kuma-dp",
        ..ROW
    },
    Known {
        title: "Envoy, Open Service Mesh",
        containers: &["envoy"],
        images: &["envoyproxy/envoy", "envoyproxy/envoy-distroless"],
        stop: Stop::Http { method: Method::Post, port: ENVOY_ADMIN, path: "/quitquitquit" },
        hint: "name the admin port with --shutdown-http-post if it is another one",
        source: "envoy: operations/admin; osm: pkg/constants",
        ..ROW
    },
    Known {
        title: "secure-logs-fluentd",
        containers: &["secure-logs-fluentd"],
        stop: Stop::Http { method: Method::Get, port: fixed(24444), path: "/api/processes.killWorkers" },
        hint: "fluentd needs rpc_endpoint in its system section",
        source: "nais/hahaha: src/actions.rs",
        ..ROW
    },
    Known {
        title: "Cloud Storage FUSE",
        containers: &["gke-gcsfuse-sidecar"],
        stop: Stop::AfterUs,
        hint: "its CSI driver ends it once the other containers have ended",
        source: "gcs-fuse-csi-driver: pkg/csi_driver/node.go",
        ..ROW
    },
    Known {
        title: "vks-sidecar",
        containers: &["vks-sidecar"],
        source: "nais/hahaha: src/actions.rs",
        ..ROW
    },
    Known {
        title: "configmap-reload",
        containers: &["secure-logs-configmap-reload", "configmap-reload"],
        images: &["jimmidyson/configmap-reload"],
        source: "nais/hahaha: src/actions.rs",
        ..ROW
    },
];

const DAPR_HTTP: Port = Port {
    flags: &["--dapr-http-port", "-dapr-http-port"],
    variables: &[],
    named: Some("dapr-http"),
    probed: None,
    default: 3500,
};

/// The row of a container: by its image (which nobody renames by accident)
/// first, then by its name.
pub fn known(container: &Container) -> Option<&'static Known> {
    let by_image = TABLE.iter().find(|row| row.images.iter().any(|image| image_is(&container.image, image)));
    by_image.or_else(|| TABLE.iter().find(|row| row.containers.contains(&container.name.as_str())))
}

/// `registry/mirror/istio/proxyv2:1.2@sha256:…` is `istio/proxyv2`.
fn image_is(image: &str, wanted: &str) -> bool {
    let name = image.split('@').next().unwrap_or_default();
    // A colon after the last slash begins a tag, one before it a port.
    let (folder, last) = name.rsplit_once('/').unwrap_or(("", name));
    let last = last.split(':').next().unwrap_or_default();
    let whole = if folder.is_empty() { last.to_owned() } else { format!("{folder}/{last}") };
    whole.strip_suffix(wanted).is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
}

impl Port {
    /// The port that this container's spec leads to.
    pub fn of(&self, container: &Container) -> u16 {
        self.by_flags(container)
            .or_else(|| self.by_variables(container))
            .or_else(|| container.port_named(self.named?))
            .or_else(|| self.by_probe(container))
            .unwrap_or(self.default)
    }

    /// `--flag=1234` or `--flag 1234`.
    fn by_flags(&self, container: &Container) -> Option<u16> {
        let mut arguments = container.arguments.iter();
        while let Some(argument) = arguments.next() {
            let (flag, value) =
                argument.split_once('=').map_or((argument.as_str(), None), |(f, v)| (f, Some(v)));
            if self.flags.contains(&flag) {
                return value.or_else(|| arguments.next().map(String::as_str))?.parse().ok();
            }
        }
        None
    }

    fn by_variables(&self, container: &Container) -> Option<u16> {
        let (_, value) =
            container.environment.iter().find(|(name, _)| self.variables.contains(&name.as_str()))?;
        value.rsplit(':').next()?.parse().ok()
    }

    fn by_probe(&self, container: &Container) -> Option<u16> {
        let Readiness::Probe(probe) = &container.readiness else { return None };
        probe.describe().ends_with(&format!(":{}{}", probe.port, self.probed?)).then_some(probe.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(name: &str, image: &str, arguments: &[&str]) -> Container {
        Container {
            name: name.to_owned(),
            image: image.to_owned(),
            arguments: arguments.iter().map(ToString::to_string).collect(),
            ..Container::default()
        }
    }

    fn port(container: &Container) -> Option<u16> {
        match &known(container)?.stop {
            Stop::Http { port, .. } => Some(port.of(container)),
            _ => None,
        }
    }

    #[test]
    fn images_count_with_their_organisation() {
        for (image, title) in [
            ("docker.io/istio/proxyv2:1.27.0", Some("Istio")),
            ("registry.corp:5000/mirror/istio/proxyv2@sha256:00", Some("Istio")),
            ("cr.l5d.io/linkerd/proxy:edge", Some("Linkerd")),
            ("linkerd/proxy", Some("Linkerd")),
            ("acme/proxy:1", None),
            ("notlinkerd/proxy", None),
            ("linkerd/proxy-init", None),
            ("", None),
        ] {
            assert_eq!(known(&container("x", image, &[])).map(|row| row.title), title, "{image}");
        }
    }

    #[test]
    fn the_image_says_more_than_the_name() {
        let one = container("cloud-sql-proxy", "gcr.io/cloudsql-docker/gce-proxy:1.33", &[]);
        assert!(matches!(known(&one).unwrap().stop, Stop::None));
    }

    #[test]
    fn ports_follow_flags_and_variables() {
        let proxy = "cloud-sql-proxy";
        assert_eq!(port(&container(proxy, "", &["--quitquitquit"])), Some(9091));
        assert_eq!(port(&container(proxy, "", &["--admin-port=9092"])), Some(9092));
        assert_eq!(port(&container(proxy, "", &["--admin-port", "9093", "db"])), Some(9093));
        let mut linkerd = container("linkerd-proxy", "", &[]);
        linkerd.environment = vec![("LINKERD2_PROXY_ADMIN_LISTEN_ADDR".to_owned(), "[::]:4291".to_owned())];
        assert_eq!(port(&linkerd), Some(4291));
        assert_eq!(port(&container("envoy", "", &[])), Some(9901));
    }

    #[test]
    fn no_two_rows_share_a_name_and_each_says_its_source() {
        let mut names: Vec<_> =
            TABLE.iter().flat_map(|row| row.containers.iter().chain(row.images)).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
        assert!(TABLE.iter().all(|row| !row.source.is_empty() && !row.hint.is_empty()));
    }
}
