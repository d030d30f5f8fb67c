//! Numbers as text, where no formatter should run.

/// Appends `value` in decimal.
pub fn push_decimal(bytes: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0; 20];
    let mut length = 0;
    for place in digits.iter_mut().rev() {
        *place = b'0' + u8::try_from(value % 10).unwrap_or(0);
        (value, length) = (value / 10, length + 1);
        if value == 0 {
            break;
        }
    }
    bytes.extend_from_slice(digits.get(digits.len() - length..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_written_in_full() {
        for number in [0, 7, 10, 1234, u64::MAX] {
            let mut bytes = Vec::new();
            push_decimal(&mut bytes, number);
            assert_eq!(String::from_utf8(bytes).unwrap(), number.to_string());
        }
    }
}
