//! Every environment variable that `proa` reads, and the only reader of
//! `std::env`. The variables of the options carry the option's name and are
//! listed with them in [`crate::args`].

use std::ffi::OsString;

/// Verbosity: `info`, `proa=debug`, `off`, … (`tracing-subscriber`'s targets).
pub const RUST_LOG: &str = "RUST_LOG";
/// Address of the API server, set by the kubelet in every container.
pub const KUBERNETES_SERVICE_HOST: &str = "KUBERNETES_SERVICE_HOST";
/// Port of the API server, set by the kubelet in every container.
pub const KUBERNETES_SERVICE_PORT: &str = "KUBERNETES_SERVICE_PORT";
/// The Pod's name where no token says it; users set it by the downward API.
pub const POD_NAME: &str = "POD_NAME";
/// The Pod's namespace where no token says it.
pub const POD_NAMESPACE: &str = "POD_NAMESPACE";
/// How `proa` tells itself, started afresh while the command runs, where it
/// has left what it knows: `PID:DESCRIPTOR`.
pub const LEFT: &str = "PROA_LEFT";
/// Where a debug build panics (`gate`, `run`, `teardown`): for tests.
#[cfg(debug_assertions)]
pub const TEST_PANIC: &str = "PROA_TEST_PANIC";
/// What every option's variable begins with.
pub const OPTION_PREFIX: &str = "PROA_";

/// What users are told of the variables that are no option's.
pub const VARIABLES: [(&str, &str); 5] = [
    (
        RUST_LOG,
        "Verbosity of the log: a level (off, error, warn, info, debug) for proa, or target=level, \
         separated by commas. One that cannot be read counts as info.",
    ),
    (POD_NAME, "Name of our Pod, where neither --pod nor the service account's token says it."),
    (POD_NAMESPACE, "Namespace of our Pod, where neither --namespace nor the token says it."),
    (KUBERNETES_SERVICE_HOST, "Address of the API server; the kubelet sets it in every container."),
    (KUBERNETES_SERVICE_PORT, "Port of the API server; the kubelet sets it too."),
];

/// Where variables come from: the process's environment, or a test's table.
pub trait Environment {
    /// The variable's value as bytes, if it is set and not empty.
    fn get(&self, name: &str) -> Option<OsString>;

    /// The same as text; a value that is not UTF-8 is read as well as it goes.
    fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(|value| value.to_string_lossy().into_owned())
    }
}

/// The environment that the process was started with.
#[derive(Clone, Copy, Debug)]
pub struct ProcessEnvironment;

impl Environment for ProcessEnvironment {
    #[expect(clippy::disallowed_methods, reason = "the one reader of the environment")]
    fn get(&self, name: &str) -> Option<OsString> {
        std::env::var_os(name).filter(|value| !value.is_empty())
    }
}

#[cfg(test)]
impl<const N: usize> Environment for [(&str, &str); N] {
    fn get(&self, name: &str) -> Option<OsString> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(*value))
    }
}
