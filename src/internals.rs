//! What this package's own tests, fuzz targets and `examples/assets` reach
//! beside [`crate::main`]. No interface: it changes without notice.

pub use crate::args::{VARIABLES_IN_SHORT, command, variable};
pub use crate::env::{OPTION_PREFIX, VARIABLES};
pub use crate::exit::CODES;
