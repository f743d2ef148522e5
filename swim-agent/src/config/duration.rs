//! Durations as Go writes them: `30s`, `1h30m`, `1500ms`, `1.5h`.

use core::time::Duration;

/// Reads `text` as Go's `time.ParseDuration` does, with its error texts. What is negative becomes zero: no setting
/// has a meaning below that.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let invalid = || format!("time: invalid duration {text:?}");
    let (negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut nanos: u64 = 0;
    while !rest.is_empty() {
        let number_len = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(number_len);
        let unit_len = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_len);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
            return Err(invalid());
        }
        if unit.is_empty() {
            return Err(format!("time: missing unit in duration {text:?}"));
        }
        let scale = nanos_of(unit).ok_or_else(|| format!("time: unknown unit {unit:?} in duration {text:?}"))?;
        let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| invalid())? };
        let mut part = whole.checked_mul(scale).ok_or_else(invalid)?;
        // Digits finer than the unit can show are cut off, not rounded.
        let mut digit_scale = scale;
        for digit in fraction.bytes() {
            digit_scale /= 10;
            part = part.checked_add(u64::from(digit - b'0') * digit_scale).ok_or_else(invalid)?;
        }
        nanos = nanos.checked_add(part).filter(|nanos| i64::try_from(*nanos).is_ok()).ok_or_else(invalid)?;
        rest = after;
    }
    Ok(if negative { Duration::ZERO } else { Duration::from_nanos(nanos) })
}

fn nanos_of(unit: &str) -> Option<u64> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60 * 1_000_000_000,
        "h" => 3600 * 1_000_000_000,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_go_reads_them() {
        #[rustfmt::skip]
        let table = [
            ("30s",       Ok(30_000)),
            ("1h30m",     Ok(5_400_000)),
            ("1500ms",    Ok(1_500)),
            ("1.5s",      Ok(1_500)),
            (".5s",       Ok(500)),
            ("1.s",       Ok(1_000)),
            ("+5s",       Ok(5_000)),
            ("-5s",       Ok(0)),
            ("0",         Ok(0)),
            ("1m0.25s",   Ok(60_250)),
            ("2000us",    Ok(2)),
            ("2000µs",    Ok(2)),
            ("zz",        Err(r#"time: invalid duration "zz""#)),
            ("",          Err(r#"time: invalid duration """#)),
            ("-",         Err(r#"time: invalid duration "-""#)),
            ("s",         Err(r#"time: invalid duration "s""#)),
            (".s",        Err(r#"time: invalid duration ".s""#)),
            ("1.2.3s",    Err(r#"time: invalid duration "1.2.3s""#)),
            ("5",         Err(r#"time: missing unit in duration "5""#)),
            ("5x",        Err(r#"time: unknown unit "x" in duration "5x""#)),
            ("5s3x",      Err(r#"time: unknown unit "x" in duration "5s3x""#)),
            ("9999999h",  Err(r#"time: invalid duration "9999999h""#)),
        ];
        for (text, millis) in table {
            assert_eq!(parse_duration(text), millis.map(Duration::from_millis).map_err(str::to_owned), "{text}");
        }
    }
}
