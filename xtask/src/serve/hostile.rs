//! Requests that no honest client sends, and what they must be answered.

use anyhow::{Result, ensure};

use super::service::Service;

/// What is sent, and the statuses that are right; none where the connection may end without a word.
fn all() -> Vec<(&'static str, Vec<u8>, &'static [u16])> {
    let post = |headers: &str, body: &[u8]| {
        let head = format!(
            "POST /score HTTP/1.1\r\nHost: here\r\nConnection: close\r\nContent-Type: application/json\r\n{headers}\r\n"
        );
        [head.as_bytes(), body].concat()
    };
    let sized = |body: &[u8]| post(&format!("Content-Length: {}\r\n", body.len()), body);
    vec![
        ("no HTTP", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n".to_vec(), &[400]),
        ("brackets", sized("[".repeat(1 << 20).as_bytes()), &[400]),
        (
            "brackets in a field",
            sized(format!("{{\"x\":{}", "[".repeat(1 << 20)).as_bytes()),
            &[400],
        ),
        ("a long number", sized(format!("{{\"x\":[{}]}}", "9".repeat(1 << 20)).as_bytes()), &[400]),
        (
            "too many numbers in a row",
            sized(format!("{{\"x\":[[{}1]]}}", "1,".repeat(1 << 20)).as_bytes()),
            &[400],
        ),
        ("a long name", sized(format!("{{\"{}\":1}}", "x".repeat(1 << 20)).as_bytes()), &[400]),
        ("a length of 10^18", post("Content-Length: 1000000000000000000\r\n", b"{"), &[413]),
        ("two lengths", post("Content-Length: 2\r\nContent-Length: 3\r\n", b"{}"), &[400]),
        (
            "a length and chunks",
            post("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", b"zz\r\n"),
            &[400],
        ),
        (
            "a chunk of 2^64 bytes",
            post("Transfer-Encoding: chunked\r\n", b"ffffffffffffffff1\r\n"),
            &[400],
        ),
        ("long headers", post(&format!("long: {}\r\n", "x".repeat(1 << 20)), b""), &[431]),
        ("many headers", post(&"a: b\r\n".repeat(100_000), b""), &[431]),
    ]
}

/// Sends each of them; how many there are.
pub(super) fn send_all(service: &Service) -> Result<usize> {
    let all = all();
    for (name, request, statuses) in &all {
        let answer = service.send(request)?;
        let text = String::from_utf8_lossy(answer.get(..200.min(answer.len())).unwrap_or_default());
        let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
        // The system may cut a connection off whose request was refused before it was read.
        let is_right = status.is_none_or(|status: u16| statuses.contains(&status));
        ensure!(is_right, "{name}: expected the status {statuses:?}, found {text}");
    }
    Ok(all.len())
}
