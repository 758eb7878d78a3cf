//! Times, in the notations that go-yaml v3 takes for one.

use zeroize::Zeroizing;

/// Reads a time. The answer is `None` where `text` is none, `Some(None)` where it is one that Go cannot write down in
/// RFC 3339, and else its text in that form, as Go's `time.Time.MarshalText` gives it.
///
/// A time has a date with a year of four digits, month and day of one or two; it may go on with `T` or `t`, a time of
/// day and `Z` or an offset, or with spaces and a time of day, which is then in UTC.
#[allow(clippy::option_option)]
pub(super) fn parse(text: &str) -> Option<Option<Zeroizing<String>>> {
    let mut rest = Reader(text.as_bytes());
    let year = rest.number(4, 4)?;
    rest.byte(b'-')?;
    let month = rest.number(1, 2).filter(|month| (1..=12).contains(month))?;
    rest.byte(b'-')?;
    let day = rest.number(1, 2).filter(|&day| (1..=days_in(year, month)).contains(&day))?;
    let date = format!("{year:04}-{month:02}-{day:02}");
    if rest.0.is_empty() {
        return Some(Some(Zeroizing::new(format!("{date}T00:00:00Z"))));
    }
    let with_zone = match rest.next()? {
        b'T' | b't' => true,
        b' ' => {
            rest.spaces();
            false
        }
        _ => return None,
    };
    let time = rest.time_of_day()?;
    let zone = if with_zone { rest.zone()? } else { 0 };
    if !rest.0.is_empty() {
        return None;
    }
    let minutes = zone.unsigned_abs();
    let zone = match zone {
        0 => "Z".to_owned(),
        _ if minutes >= 24 * 60 => return Some(None),
        _ => format!("{}{:02}:{:02}", if zone < 0 { '-' } else { '+' }, minutes / 60, minutes % 60),
    };
    Some(Some(Zeroizing::new(format!("{date}T{}{zone}", time.as_str()))))
}

fn days_in(year: u32, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        _ => 31,
    }
}

/// What is left to read.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn byte(&mut self, wanted: u8) -> Option<()> {
        self.next().filter(|&byte| byte == wanted).map(|_| ())
    }

    fn spaces(&mut self) {
        while self.0.first() == Some(&b' ') {
            self.0 = &self.0[1..];
        }
    }

    /// A number of `least` to `most` digits, as many of them as there are.
    fn number(&mut self, least: usize, most: usize) -> Option<u32> {
        let digits = self.0.iter().take(most).take_while(|byte| byte.is_ascii_digit()).count();
        if digits < least {
            return None;
        }
        let (number, rest) = self.0.split_at(digits);
        self.0 = rest;
        Some(number.iter().fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0')))
    }

    /// Hours, minutes, seconds and their fraction, of which Go keeps nine digits.
    fn time_of_day(&mut self) -> Option<Zeroizing<String>> {
        let hour = self.number(1, 2).filter(|&hour| hour < 24)?;
        self.byte(b':')?;
        let minute = self.number(1, 2).filter(|&minute| minute < 60)?;
        self.byte(b':')?;
        let second = self.number(1, 2).filter(|&second| second < 60)?;
        let mut time = Zeroizing::new(format!("{hour:02}:{minute:02}:{second:02}"));
        if let [b'.' | b',', b'0'..=b'9', ..] = self.0 {
            self.0 = &self.0[1..];
            let digits = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let (fraction, rest) = self.0.split_at(digits);
            self.0 = rest;
            let kept = &fraction[..digits.min(9)];
            let length = kept.iter().rposition(|&digit| digit != b'0').map_or(0, |last| last + 1);
            if length > 0 {
                time.push('.');
                time.extend(kept[..length].iter().map(|&digit| char::from(digit)));
            }
        }
        Some(time)
    }

    /// The minutes east of UTC. Go takes offsets of 24 hours and of 60 minutes too.
    fn zone(&mut self) -> Option<i32> {
        let sign = match self.next()? {
            b'Z' => return Some(0),
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        let hours = self.number(2, 2).filter(|&hours| hours <= 24)?;
        self.byte(b':')?;
        let minutes = self.number(2, 2).filter(|&minutes| minutes <= 60)?;
        i32::try_from(hours * 60 + minutes).ok().map(|offset| sign * offset)
    }
}
