//! Numbers and times as people read them.

/// 1234567 as 1,234,567.
pub(crate) fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A time as people say it.
pub(crate) fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..10 => format!("{seconds:.2} s"),
        10..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole / 60 % 60),
    }
}

/// A size of memory as people say it.
pub(crate) fn bytes(count: usize) -> String {
    match count as f64 {
        size if size >= 1e9 => format!("{:.1} GB", size / 1e9),
        size if size >= 1e6 => format!("{:.1} MB", size / 1e6),
        size if size >= 1e3 => format!("{:.0} kB", size / 1e3),
        size => format!("{size} bytes"),
    }
}

/// A value in about three digits.
pub(super) fn short(value: f64) -> String {
    match value.abs() {
        _ if !value.is_finite() => "–".into(),
        0.0 => "0".into(),
        size if size >= 1e5 => scientific(value),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        size if size >= 0.01 => format!("{value:.3}"),
        size if size >= 0.001 => format!("{value:.4}"),
        _ => scientific(value),
    }
}

/// `1.2·10⁻⁴`.
pub(super) fn scientific(value: f64) -> String {
    let text = format!("{value:.1e}");
    match text.split_once('e') {
        Some((digits, power)) => format!("{digits}·{}", power_of_ten(power.parse().unwrap_or_default())),
        None => text,
    }
}

/// `10⁻³`.
pub(super) fn power_of_ten(power: i32) -> String {
    let raise = |c: char| match c {
        '-' => '⁻',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        digit => digit.to_digit(10).and_then(|digit| char::from_u32(0x2070 + digit)).unwrap_or(digit),
    };
    format!("10{}", power.to_string().chars().map(raise).collect::<String>())
}

/// `12.3 %`; `–` where it is not known.
pub(super) fn percent(share: f64) -> String {
    if !share.is_finite() {
        return "–".into();
    }
    let share = share * 100.0;
    if share == share.round() || share.abs() >= 99.95 {
        format!("{share:.0} %")
    } else {
        format!("{share:.1} %")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!([0, 999, 1000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [0.5, 12.34, 75.0, 3725.0].map(duration),
            ["0.50 s", "12.3 s", "1 min 15 s", "1 h 02 min"]
        );
        assert_eq!(
            [999, 1500, 2_500_000, 3_000_000_000].map(bytes),
            ["999 bytes", "2 kB", "2.5 MB", "3.0 GB"]
        );
        let values = [0.0, 1234.0, 12.34, 1.234, 0.1234, 0.01234, 0.001234, 0.0001234, 2.5e7];
        let texts = ["0", "1234", "12.3", "1.23", "0.123", "0.012", "0.0012", "1.2·10⁻⁴", "2.5·10⁷"];
        assert_eq!(values.map(short), texts);
        assert_eq!([0.0, 0.125, 1.0, f64::NAN].map(percent), ["0 %", "12.5 %", "100 %", "–"]);
    }
}
