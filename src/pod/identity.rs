//! Who am I? Pod, namespace and container, each from the best source that
//! has an answer. Pure: the sources are read by [`Sources::gather`].

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::PodView;
use crate::plan::{IdentityPlan, is_name};

/// Everything that may know a name.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    pub plan: IdentityPlan,
    pub claims: Claims,
    /// First label of the host name.
    pub host_name: Option<String>,
    /// The service account's `namespace` file.
    pub namespace_file: Option<String>,
    /// The container whose termination log is mounted here.
    pub mounted: Option<String>,
}

/// What the token says about our Pod (decoded, not verified: the API server
/// is the one to judge it).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    pub namespace: Option<String>,
    pub pod: Option<String>,
}

/// A name, and where it came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    pub name: String,
    #[serde(skip)]
    pub from: &'static str,
}

/// Our Pod's name and namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodName {
    pub pod: Named,
    pub namespace: Named,
}

impl Sources {
    /// Reads the files and the host name; what cannot be read knows nothing.
    pub fn gather(plan: &IdentityPlan) -> Self {
        let folder = &plan.service_account;
        let read =
            |path: &Path| fs::read(path).ok().map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
        let host_name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
        Self {
            claims: read(&folder.join("token")).map(|token| claims(&token)).unwrap_or_default(),
            host_name: host_name.and_then(|name| name.split('.').next().map(str::to_owned)),
            namespace_file: read(&folder.join("namespace")),
            mounted: read(Path::new("/proc/self/mountinfo")).and_then(|mounts| container_of_mount(&mounts)),
            plan: plan.clone(),
        }
    }

    /// Pod and namespace: the option, the token, the variable, the host name
    /// and the namespace file, in this order.
    ///
    /// # Errors
    /// Where no source has a usable name; says which options would.
    pub fn pod_name(&self) -> Result<PodName> {
        let pod = first([
            (&self.plan.pod, "--pod"),
            (&self.claims.pod, "the service account token"),
            (&self.plan.pod_variable, "POD_NAME"),
            (&self.host_name, "the host name"),
        ]);
        let namespace = first([
            (&self.plan.namespace, "--namespace"),
            (&self.claims.namespace, "the service account token"),
            (&self.plan.namespace_variable, "POD_NAMESPACE"),
            (&self.namespace_file, "the service account's namespace file"),
        ]);
        Ok(PodName {
            pod: pod.context("cannot tell the name of this Pod: set --pod or POD_NAME")?,
            namespace: namespace
                .context("cannot tell the namespace of this Pod: set --namespace or POD_NAMESPACE")?,
        })
    }
}

/// Our own container in `pod`: the option, `mounted` (the termination log's),
/// the annotation, the first of the spec, in this order.
///
/// # Errors
/// Where the option names a container that the Pod lacks.
pub fn container(option: Option<&String>, mounted: Option<&String>, pod: &PodView) -> Result<Named> {
    let regular = || pod.containers.iter().filter(|container| !container.native);
    let exists = |name: &String| regular().any(|container| container.name == *name);
    if let Some(name) = option {
        if !exists(name) {
            let names: Vec<_> = regular().map(|container| container.name.as_str()).collect();
            bail!("--container: the Pod has no container {name:?}; it has {}", names.join(", "));
        }
        return Ok(Named { name: name.clone(), from: "--container" });
    }
    let first_container = regular().next().map(|container| container.name.clone());
    let candidates = [
        (mounted.cloned(), "the termination log's mount"),
        (pod.default_container.clone(), "the annotation kubectl.kubernetes.io/default-container"),
        (first_container, "the first entry of spec.containers"),
    ];
    let known = candidates.into_iter().find(|(name, _)| name.as_ref().is_some_and(exists));
    known
        .and_then(|(name, from)| Some(Named { name: name?, from }))
        .ok_or_else(|| anyhow!("the Pod has no container"))
}

fn first<const N: usize>(candidates: [(&Option<String>, &'static str); N]) -> Option<Named> {
    let usable = |name: &&String| is_name(name);
    let found = candidates.into_iter().find_map(|(name, from)| Some((name.as_ref().filter(usable)?, from)));
    found.map(|(name, from)| Named { name: name.clone(), from })
}

/// Decodes the payload of a JSON Web Token (RFC 7519, section 3).
pub fn claims(token: &str) -> Claims {
    #[derive(Deserialize)]
    struct Payload {
        #[serde(rename = "kubernetes.io")]
        kubernetes: Kubernetes,
    }
    #[derive(Deserialize)]
    struct Kubernetes {
        namespace: Option<String>,
        pod: Option<Reference>,
    }
    #[derive(Deserialize)]
    struct Reference {
        name: Option<String>,
    }
    let payload = token.split('.').nth(1).map(|part| part.trim_end_matches('='));
    let bytes = payload.and_then(|payload| URL_SAFE_NO_PAD.decode(payload).ok());
    let read: Option<Payload> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    read.map_or_else(Claims::default, |payload| Claims {
        namespace: payload.kubernetes.namespace,
        pod: payload.kubernetes.pod.and_then(|pod| pod.name),
    })
}

/// The kubelet mounts `…/pods/UID/containers/NAME/ID` as the termination log;
/// the fourth field of `mountinfo` is that path within its file system, the
/// fifth the mount point (`proc_pid_mountinfo(5)`). The usual mount point
/// counts first: a volume's `subPath` may look alike.
pub fn container_of_mount(mountinfo: &str) -> Option<String> {
    let mounts = || {
        mountinfo.lines().filter_map(|line| {
            let mut fields = line.split(' ');
            let (root, point) = (fields.nth(3)?, fields.next()?);
            let mut parts = root.rsplit('/');
            let (_id, name, folder, _uid) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
            let from_kubelet = folder == "containers" && parts.next() == Some("pods") && !name.is_empty();
            from_kubelet.then_some((name, point))
        })
    };
    let usual = mounts().find(|(_, point)| *point == "/dev/termination-log");
    usual.or_else(|| mounts().next()).map(|(name, _)| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pod::Container;

    fn pod(names: &[&str]) -> PodView {
        let containers =
            names.iter().map(|name| Container { name: (*name).to_owned(), ..Container::default() });
        PodView { containers: containers.collect(), ..PodView::default() }
    }

    fn token(payload: &str) -> String {
        format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(payload))
    }

    const MOUNTS: &str = "\
650 549 0:60 / / rw - overlay overlay rw
700 650 254:0 /var/lib/kubelet/pods/8c1/volumes/x /data rw - ext4 /dev/root rw
663 650 254:0 /var/lib/kubelet/pods/8c1/containers/main/1f0a /dev/termination-log rw - ext4 /dev/root rw";

    #[test]
    fn claims_of_tokens() {
        let good = r#"{"kubernetes.io":{"namespace":"ns","pod":{"name":"p","uid":"u"}}}"#;
        assert_eq!(claims(&token(good)).pod.as_deref(), Some("p"));
        assert_eq!(claims(&token(good)).namespace.as_deref(), Some("ns"));
        let legacy = r#"{"kubernetes.io/serviceaccount/namespace":"ns"}"#;
        for text in [
            "",
            "a",
            "a.b",
            "a..c",
            "a.%%%.c",
            &token("[]"),
            &token(legacy),
            &token(r#"{"kubernetes.io":1}"#),
        ] {
            assert_eq!(claims(text), Claims::default(), "{text}");
        }
    }

    #[test]
    fn pod_name_in_order() {
        let some = |text: &str| Some(text.to_owned());
        let mut sources = Sources {
            plan: IdentityPlan { pod: some("a"), pod_variable: some("c"), ..IdentityPlan::default() },
            claims: Claims { pod: some("b"), namespace: some("n") },
            host_name: some("d"),
            ..Sources::default()
        };
        let name = |sources: &Sources| sources.pod_name().unwrap().pod.name;
        assert_eq!(name(&sources), "a");
        sources.plan.pod = None;
        assert_eq!(name(&sources), "b");
        for path in ["../secrets", "..", "a..b", "-a", "a/b", ""] {
            sources.claims.pod = some(path);
            assert_eq!(name(&sources), "c", "{path:?}");
        }
        sources.plan.pod_variable = None;
        assert_eq!(name(&sources), "d");
        sources.host_name = None;
        assert!(sources.pod_name().unwrap_err().to_string().contains("--pod"));
    }

    #[test]
    fn container_in_order() {
        let mounted = container_of_mount(MOUNTS);
        let from = |pod: &PodView| container(None, mounted.as_ref(), pod).unwrap().name;
        assert_eq!(from(&pod(&["istio-proxy", "main"])), "main");
        // A detected name that the spec lacks is no answer.
        let mut annotated = pod(&["proxy", "job"]);
        annotated.default_container = Some("job".to_owned());
        assert_eq!(from(&annotated), "job");
        annotated.default_container = Some("nobody".to_owned());
        assert_eq!(from(&annotated), "proxy");
        let option = Some("x".to_owned());
        let error = container(option.as_ref(), None, &pod(&["proxy", "job"])).unwrap_err().to_string();
        assert!(error.contains("proxy, job"), "{error}");
    }

    #[test]
    fn mountinfo_of_any_shape() {
        for text in
            ["", "\n", "a b c", "1 2 3 / /dev/termination-log", "1 2 3 //containers// /dev/termination-log -"]
        {
            assert_eq!(container_of_mount(text), None, "{text}");
        }
    }
}
