//! NumPy's format 1.0, by hand: xtask uses no mflow crate.

/// What goes before the numbers of an array. Magic, version, length and header together are a multiple of 64 bytes.
pub(super) fn header(descr: &str, shape: &[usize]) -> Vec<u8> {
    let dims: String = shape.iter().map(|dim| format!("{dim}, ")).collect();
    let dims = if shape.len() == 1 { dims.trim_end() } else { dims.trim_end_matches(", ") };
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({dims}), }}");
    let padding = 63 - (10 + header.len()) % 64;
    header += &" ".repeat(padding);
    header.push('\n');
    let length = u16::try_from(header.len()).unwrap_or(u16::MAX); // it is 118
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend(length.to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes
}

/// An array of bytes.
pub(super) fn bytes(shape: &[usize], bytes: &[u8]) -> Vec<u8> {
    [&header("|u1", shape), bytes].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_those_of_numpy() {
        let text = |shape: &[usize]| {
            let bytes = bytes(shape, &[7]);
            assert_eq!((bytes.len(), bytes[128]), (129, 7), "the header has 128 bytes");
            String::from_utf8(bytes[10..128].to_vec()).unwrap()
        };
        assert!(
            text(&[3]).starts_with("{'descr': '|u1', 'fortran_order': False, 'shape': (3,), } ")
        );
        assert!(text(&[3, 2, 2, 1]).contains("'shape': (3, 2, 2, 1), }"));
        assert!(text(&[3]).ends_with(" \n"));
    }
}
