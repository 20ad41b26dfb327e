//! How often our own probes ask.

use std::time::Duration;

/// The pause after the attempt of this number (from 0), `waited` after the
/// first: 5 ms, growing by half to 40 ms, then slower the longer it takes.
pub fn pace(attempt: u32, waited: Duration) -> Duration {
    const FIRST: f64 = 5.0;
    if waited >= Duration::from_mins(1) {
        return Duration::from_millis(500);
    }
    if waited >= Duration::from_secs(15) {
        return Duration::from_millis(100);
    }
    let grown = FIRST * 1.5_f64.powi(i32::try_from(attempt.min(16)).unwrap_or(16));
    Duration::from_secs_f64(grown.min(40.0) / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table() {
        for (attempt, waited, micros) in [
            (0, 0, 5_000),
            (1, 0, 7_500),
            (2, 0, 11_250),
            (5, 1, 37_968),
            (6, 1, 40_000),
            (400, 14, 40_000),
            (400, 15, 100_000),
            (900, 59, 100_000),
            (u32::MAX, 60, 500_000),
        ] {
            assert_eq!(pace(attempt, Duration::from_secs(waited)).as_micros(), micros, "{attempt} {waited}");
        }
    }
}
