//! What this package's own tests, fuzz targets and `examples/assets` reach
//! beside [`crate::main`]. No interface: it changes without notice.

pub use crate::args::{Stop, VARIABLES_IN_SHORT, command, parse, variable};
pub use crate::env::{Environment, OPTION_PREFIX, VARIABLES};
pub use crate::exit::CODES;
pub use crate::http::{Ask, HttpError, Sender};
pub use crate::plan::url::{Address, HttpUrl};
pub use crate::plan::{IdentityPlan, Plan, Task, UsageError, duration, is_name, plan};
pub use crate::pod::client::ApiError;
pub use crate::pod::document::PodDocument;
pub use crate::pod::events::Events;
pub use crate::pod::identity::{Claims, Sources, claims, container_of_mount};
pub use crate::pod::probe::{ProbeKind, ProbeSpec};
pub use crate::pod::{Container, PodView, Readiness};
