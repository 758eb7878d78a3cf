//! Points in time as Go reads and writes them: sops keeps them as text and authenticates that text.

/// A time in RFC 3339 form, taken apart.
struct Rfc3339<'a> {
    /// `YYYY-MM-DDTHH:MM:SS`.
    seconds: &'a str,
    /// The digits after the point, without trailing zeros.
    fraction: &'a str,
    /// `Z`, or `+HH:MM` or `-HH:MM`; an offset of zero is `Z`.
    zone: &'a str,
}

/// The text that Go's `time.Time.MarshalText` gives for the time that `text` says, or `None` where `text` is not
/// strict RFC 3339. sops hashes a `time` value in this form.
pub fn with_fraction(text: &str) -> Option<String> {
    let time = parse(text)?;
    let point = if time.fraction.is_empty() { "" } else { "." };
    Some(format!("{}{point}{}{}", time.seconds, time.fraction, time.zone))
}

/// The same without the fraction of the second, as Go's `Format(time.RFC3339)` gives it. sops authenticates the MAC
/// with `lastmodified` in this form.
pub(super) fn without_fraction(text: &str) -> Option<String> {
    let time = parse(text)?;
    Some(format!("{}{}", time.seconds, time.zone))
}

fn parse(text: &str) -> Option<Rfc3339<'_>> {
    let (seconds, rest) = text.split_at_checked(19)?;
    let shape_fits = seconds.bytes().zip("dddd-dd-ddTdd:dd:dd".bytes()).all(|(byte, shape)| match shape {
        b'd' => byte.is_ascii_digit(),
        _ => byte == shape,
    });
    if !shape_fits {
        return None;
    }
    let number = |range: std::ops::Range<usize>| -> Option<u32> { seconds.get(range)?.parse().ok() };
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    if day < 1 || day > days_in(year, month)? || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (fraction, zone) = match rest.strip_prefix('.') {
        Some(rest) => {
            let digits = rest.find(|c: char| !c.is_ascii_digit())?;
            // Go keeps nanoseconds and drops what is finer.
            let fraction = rest.get(..digits.min(9)).filter(|fraction| !fraction.is_empty())?;
            (fraction.trim_end_matches('0'), rest.get(digits..)?)
        }
        None => ("", rest),
    };
    let zone = if zone == "Z" {
        zone
    } else {
        let [sign, h1, h2, b':', m1, m2] = zone.as_bytes() else { return None };
        let digits = [h1, h2, m1, m2].iter().all(|byte| byte.is_ascii_digit());
        let in_range = [*h1, *h2] <= *b"23" && [*m1, *m2] <= *b"59";
        if !matches!(sign, b'+' | b'-') || !digits || !in_range {
            return None;
        }
        if zone.ends_with("00:00") { "Z" } else { zone }
    };
    Some(Rfc3339 { seconds, fraction, zone })
}

fn days_in(year: u32, month: u32) -> Option<u32> {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => Some(31),
        4 | 6 | 9 | 11 => Some(30),
        2 => Some(if leap { 29 } else { 28 }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_form_that_go_writes() {
        for (text, long, short) in [
            ("2026-11-20T08:50:00Z", "2026-11-20T08:50:00Z", "2026-11-20T08:50:00Z"),
            ("2026-11-20T08:50:00.120Z", "2026-11-20T08:50:00.12Z", "2026-11-20T08:50:00Z"),
            ("2026-11-20T08:50:00.1234567899+00:00", "2026-11-20T08:50:00.123456789Z", "2026-11-20T08:50:00Z"),
            ("2024-02-29T08:50:00-07:30", "2024-02-29T08:50:00-07:30", "2024-02-29T08:50:00-07:30"),
        ] {
            assert_eq!(with_fraction(text).as_deref(), Some(long));
            assert_eq!(without_fraction(text).as_deref(), Some(short));
        }
    }

    #[test]
    fn refuses_what_is_not_a_time() {
        for text in [
            "",
            "2026-11-20",
            "2026-11-20 08:50:00Z",
            "2026-13-20T08:50:00Z",
            "2023-02-29T08:50:00Z",
            "2026-11-20T24:50:00Z",
            "2026-11-20T08:50:00",
            "2026-11-20T08:50:00.Z",
            "2026-11-20T08:50:00+24:00",
            "2026-11-20T08:50:00+0a:00",
            "2026-11-20T08:50:00Zx",
            "2026-11-2\u{e9}T08:50:00Z",
        ] {
            assert_eq!(with_fraction(text), None, "{text}");
        }
    }
}
