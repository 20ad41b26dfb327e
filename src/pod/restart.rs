//! Will the kubelet start a container again? The Pod's `restartPolicy`, a
//! container's own, and its `restartPolicyRules` (KEP-753, KEP-5307), as pure
//! functions of the exit code.

use serde::{Deserialize, Serialize};

use super::document::{ContainerSpec, RestartRuleSpec};

/// `restartPolicy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Policy {
    /// Restarted whatever the exit code; the API's default.
    #[default]
    Always,
    /// Restarted after an exit code that is not 0.
    OnFailure,
    /// Never restarted.
    Never,
}

impl Policy {
    /// Reads the API's word; an absent or unknown one is no answer.
    pub fn parse(text: Option<&str>) -> Option<Self> {
        match text? {
            "Always" => Some(Self::Always),
            "OnFailure" => Some(Self::OnFailure),
            "Never" => Some(Self::Never),
            _ => None,
        }
    }
}

/// What decides about one container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestartRule {
    /// Its own policy, else the Pod's.
    pub policy: Policy,
    /// Exit codes that are restarted whatever the policy says.
    exceptions: Vec<ExitCodes>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct ExitCodes {
    /// `In` the values, or `NotIn` them.
    within: bool,
    values: Vec<i32>,
}

impl RestartRule {
    /// The rule of a container in a Pod with this policy.
    pub fn new(pod: Policy, spec: &ContainerSpec) -> Self {
        let rules = spec.restart_policy_rules.as_deref().unwrap_or_default();
        Self {
            policy: Policy::parse(spec.restart_policy.as_deref()).unwrap_or(pod),
            exceptions: rules.iter().filter_map(exit_codes).collect(),
        }
    }

    /// Whether the kubelet starts the container again after this exit code.
    pub fn restarts_after(&self, exit_code: i32) -> bool {
        let excepted = |codes: &ExitCodes| codes.values.contains(&exit_code) == codes.within;
        self.exceptions.iter().any(excepted)
            || match self.policy {
                Policy::Always => true,
                Policy::OnFailure => exit_code != 0,
                Policy::Never => false,
            }
    }
}

/// `Restart` and `RestartAllContainers` (KEP-5532) both bring it back.
fn exit_codes(rule: &RestartRuleSpec) -> Option<ExitCodes> {
    let codes = rule.exit_codes.as_ref()?;
    let restarts = matches!(rule.action.as_deref(), Some("Restart" | "RestartAllContainers"));
    let within = match codes.operator.as_deref()? {
        "In" => true,
        "NotIn" => false,
        _ => return None,
    };
    restarts.then(|| ExitCodes { within, values: codes.values.clone().unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table() {
        let spec = |json: &str| serde_json::from_str::<ContainerSpec>(json).unwrap();
        let plain = "{}";
        let own_never = r#"{"restartPolicy": "Never"}"#;
        let rule = r#"{"restartPolicy": "Never", "restartPolicyRules":
            [{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}]}"#;
        let not_in = r#"{"restartPolicyRules":
            [{"action": "Restart", "exitCodes": {"operator": "NotIn", "values": [0, 3]}}]}"#;
        let unknown =
            r#"{"restartPolicyRules": [{"action": "Sing", "exitCodes": {"operator": "In", "values": [1]}}]}"#;
        for (pod, container, exit_code, restarts) in [
            (Policy::Always, plain, 0, true),
            (Policy::OnFailure, plain, 0, false),
            (Policy::OnFailure, plain, 1, true),
            (Policy::Never, plain, 1, false),
            (Policy::Always, own_never, 1, false),
            (Policy::Always, rule, 42, true),
            (Policy::Always, rule, 41, false),
            (Policy::Never, not_in, 1, true),
            (Policy::Never, not_in, 3, false),
            (Policy::Never, unknown, 1, false),
        ] {
            let rule = RestartRule::new(pod, &spec(container));
            assert_eq!(rule.restarts_after(exit_code), restarts, "{pod:?} {container} {exit_code}");
        }
    }
}
