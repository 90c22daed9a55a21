//! What the tests read of a picture.

/// Width and height in the header of a PNG: the chunk IHDR is the first, big-endian.
pub(crate) fn png_size(bytes: &[u8]) -> [u32; 2] {
    assert_eq!(&bytes[..8], b"\x89PNG\r\n\x1a\n", "the signature of a PNG");
    assert_eq!(&bytes[12..16], b"IHDR", "the first chunk of a PNG");
    [16, 20].map(|at| u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes")))
}

/// What stands in the groups of class `class` of an SVG, none of which holds another group.
pub(crate) fn groups<'a>(svg: &'a str, class: &str) -> Vec<&'a str> {
    let open = format!("<g class=\"{class}\">");
    svg.split(&open).skip(1).map(|rest| rest.split("</g>").next().unwrap_or(rest)).collect()
}

/// How often `needle` occurs.
pub(crate) fn count(text: &str, needle: &str) -> usize {
    text.matches(needle).count()
}
