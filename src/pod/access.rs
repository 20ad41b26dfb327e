//! Is there an API to talk to, and as whom?

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use tracing::info;

use super::PodView;
use super::client::ApiClient;
use super::identity::{self, Named, PodName, Sources};
use crate::plan::{IdentityPlan, Plan};

/// What gate and teardown need to follow our Pod.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Access {
    pub identity: IdentityPlan,
    pub name: PodName,
    /// The container whose termination log is mounted here: ours.
    pub mounted: Option<String>,
}

impl Access {
    /// Finds out; None where the plan does without the API.
    ///
    /// # Errors
    /// Where the API is needed and cannot be asked; says what to do.
    pub fn find(plan: &Plan) -> Result<Option<Self>> {
        if !plan.use_api {
            return Ok(None);
        }
        let identity = &plan.identity;
        let missing = if identity.server.is_none() {
            "KUBERNETES_SERVICE_HOST is not set: this is no Pod".to_owned()
        } else if !identity.service_account.join("token").exists() {
            format!("there is no service account token in {}", identity.service_account.display())
        } else {
            let sources = Sources::gather(identity);
            let name = sources.pod_name()?;
            return Ok(Some(Self { identity: identity.clone(), name, mounted: sources.mounted }));
        };
        if plan.gate.probes.is_empty() {
            bail!(
                "{missing}: set automountServiceAccountToken: true for the Pod, \
                 or use --no-api and say with --ready-* what to wait for"
            );
        }
        info!("{missing}; going on without the API");
        Ok(None)
    }

    /// Our own container in `pod`.
    ///
    /// # Errors
    /// See [`identity::container`].
    pub fn own_container(&self, pod: &PodView) -> Result<Named> {
        identity::container(self.identity.container.as_ref(), self.mounted.as_ref(), pod)
    }

    /// A client for our Pod.
    ///
    /// # Errors
    /// See [`ApiClient::new`].
    pub fn client(&self) -> Result<ApiClient> {
        ApiClient::new(&self.identity, &self.name)
    }
}
