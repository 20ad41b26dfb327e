//! Durations, signal names, URLs and addresses.

use std::time::Duration;

use proa::internals::{Address, HttpUrl, duration};
use proa::os::signals::Signal;

const CENTURY: u128 = 876_000 * 3600 * 1000;

/// Reads a duration by the contract alone: numbers with units, or a bare 0.
fn milliseconds(text: &str) -> Option<u128> {
    if text == "0" {
        return Some(0);
    }
    let (mut total, mut number, mut unit) = (0_u128, String::new(), String::new());
    // The closing digit ends the last part.
    for character in text.chars().chain(['0']) {
        if !character.is_ascii_digit() {
            unit.push(character);
            continue;
        }
        if !unit.is_empty() {
            let each = match unit.as_str() {
                "ms" => 1,
                "s" => 1000,
                "m" => 60_000,
                "h" => 3_600_000,
                _ => return None,
            };
            let count: u64 = number.parse().ok()?;
            // More seconds than a u64 holds is no time at all.
            total += u128::from(count) * each;
            if total / 1000 > u64::MAX.into() {
                return None;
            }
            number.clear();
            unit.clear();
        }
        number.push(character);
    }
    (number == "0" && !text.is_empty()).then_some(total.min(CENTURY))
}

pub(super) fn durations(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        assert_eq!(duration::parse(text).map(|read| read.as_millis()), milliseconds(text), "{text:?}");
    }
    // What the log shows can be typed, as far as a lifetime goes.
    let mut bytes = [0; 8];
    bytes.iter_mut().zip(data).for_each(|(place, byte)| *place = *byte);
    let shown = Duration::from_nanos(u64::from_le_bytes(bytes) / 8);
    let read = duration::parse(&duration::show(shown)).unwrap();
    let lost = shown.checked_sub(read).unwrap();
    assert!(lost < Duration::from_secs(1) && (shown.as_secs() >= 10 || lost < Duration::from_millis(1)));
}

pub(super) fn signals(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let read = Signal::parse(text);
    let (lower, upper) = (text.to_ascii_lowercase(), text.to_ascii_uppercase());
    assert_eq!((Signal::parse(&lower), Signal::parse(&upper)), (read, read), "{text:?}");
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits {
        let number = text.parse().ok().filter(|number| (1..=64).contains(number));
        assert_eq!(read.map(Signal::number), number, "{text:?}");
    } else if !upper.starts_with("SIG") {
        assert_eq!(Signal::parse(&format!("SIG{text}")), read, "{text:?}");
    }
    let Some(signal) = read else { return };
    assert!((1..=64).contains(&signal.number()), "{text:?}");
    assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-".contains(&byte)), "{text:?}");
    // What the log shows can be typed; two of the 64 have no name.
    let named = ![32, 33].contains(&signal.number());
    assert_eq!(Signal::parse(&signal.to_string()), named.then_some(signal), "{text:?}");
}

pub(super) fn urls(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(address) = Address::parse(text) {
        assert_ne!(address.port, 0);
        assert_eq!(Address::parse(&address.to_string()), Some(address), "{text:?}");
    }
    let Some(url) = HttpUrl::parse(text) else { return };
    let HttpUrl { https, address, target, credentials } = &url;
    assert!(address.port != 0 && !address.host.is_empty(), "{text:?}");
    assert!(target.starts_with('/') && !target.contains('#'), "{text:?}");
    assert!(!target.chars().any(|c| c.is_ascii_control() || c == ' '), "{text:?}");
    // Byte for byte what was typed, up to the fragment.
    let typed = text.split('#').next().unwrap_or_default();
    assert!(typed.ends_with(target.as_str()) || typed.ends_with(target.get(1..).unwrap()), "{text:?}");
    // Written out again it is the same URL.
    let scheme = if *https { "https" } else { "http" };
    let user = credentials.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
    assert_eq!(
        HttpUrl::parse(&format!("{scheme}://{user}{address}{target}")).as_ref(),
        Some(&url),
        "{text:?}"
    );
    // And what is shown is one too, less what may be a secret.
    let shown = HttpUrl::parse(&url.to_string()).unwrap_or_else(|| panic!("{text:?} is shown as {url}"));
    assert_eq!((shown.https, &shown.address, shown.credentials), (*https, address, None), "{text:?}");
    assert!(!shown.target.contains('?'), "{text:?}");
}
