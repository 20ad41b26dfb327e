//! Durations as users write them: `90s`, `5m`, `1h30m`, `250ms`, `0`.

use std::time::Duration;

/// A century is as good as for ever, and keeps every clock sum in range.
const LONGEST: Duration = Duration::from_hours(876_000);

/// What a duration looks like, for the error message.
pub const EXPECTED: &str = "a duration such as 90s, 5m, 1h30m, 250ms or 0";

/// Reads one or more numbers, each with its unit (`ms`, `s`, `m`, `h`), or a
/// bare `0`. None where the text is something else.
pub fn parse(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at(digits);
        let number: u64 = number.parse().ok()?;
        let unit_end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let part = match unit {
            "ms" => Duration::from_millis(number),
            "s" => Duration::from_secs(number),
            "m" => Duration::from_secs(number.checked_mul(60)?),
            "h" => Duration::from_secs(number.checked_mul(3600)?),
            _ => return None,
        };
        total = total.checked_add(part)?;
        rest = tail;
    }
    (!text.is_empty()).then_some(total.min(LONGEST))
}

/// A duration for a log line: whole seconds where they say enough.
pub fn show(duration: Duration) -> String {
    if duration < Duration::from_secs(10) {
        format!("{}ms", duration.as_millis())
    } else {
        format!("{}s", duration.as_secs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table() {
        for (text, millis) in [
            ("0", Some(0)),
            ("0s", Some(0)),
            ("90s", Some(90_000)),
            ("5m", Some(300_000)),
            ("1h30m", Some(5_400_000)),
            ("250ms", Some(250)),
            ("1m1s1ms", Some(61_001)),
            ("", None),
            ("5", None),
            ("s", None),
            ("-5s", None),
            ("5 s", None),
            ("1.5s", None),
            ("5d", None),
            ("5S", None),
            ("99999999999999999999s", None),
            ("18446744073709551615h", None),
        ] {
            assert_eq!(parse(text).map(|d| d.as_millis()), millis, "{text:?}");
        }
        assert_eq!(parse("18446744073709551615s"), Some(LONGEST));
    }
}
