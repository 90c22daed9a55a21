//! `mflow serve`, asked over HTTP written by hand.
use crate::folder::{Folder, Running};
use mflow::data::io::{Array, Dtype, npy_bytes, read_npy_bytes, read_npz_array};
use serde_json::{Value, json};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const JSON: &str = "application/json";
const NPY: &str = "application/x-npy";

/// A service at work.
pub(crate) struct Server {
    running: Running,
    address: String,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    fn error(&self) -> String {
        self.json()["error"].as_str().expect("an error").to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.headers.lines().filter_map(|line| line.split_once(": "));
        lines
            .into_iter()
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }
}

impl Server {
    /// Of a verb and its options.
    pub(crate) fn start(folder: &Folder, arguments: &str) -> Self {
        let mut running = folder.start(&format!("{arguments} --address 127.0.0.1:0"));
        let address = running.line();
        let address = address.trim().strip_prefix("http://").expect("an address").to_owned();
        Self { running, address }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a limit");
        stream
    }

    /// Send these bytes, and read what comes back until the connection ends.
    fn raw(&self, bytes: &[u8]) -> Answer {
        let mut stream = self.connect();
        // It may be refused while it is being sent.
        stream.write_all(bytes).ok();
        // Not shut down for writing: to the service that is a client that has gone.
        read(&mut stream)
    }

    fn ask(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let headers: String =
            headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let length = body.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n"
        );
        let mut stream = self.connect();
        stream.write_all(&[head.as_bytes(), body].concat()).ok();
        read(&mut stream)
    }

    pub(crate) fn json(&self, path: &str, body: &Value) -> Answer {
        self.ask(path, &[("Content-Type", JSON)], body.to_string().as_bytes())
    }

    fn npy(&self, path: &str, body: &[u8]) -> Answer {
        self.ask(path, &[("Content-Type", NPY)], body)
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.raw(
            format!("GET {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n").as_bytes(),
        )
    }

    /// The value of a line of /metrics.
    fn metric(&self, name: &str) -> Option<f64> {
        let text = String::from_utf8(self.get("/metrics").body).expect("text");
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
        line.parse().ok()
    }
}

fn read(stream: &mut TcpStream) -> Answer {
    let mut bytes = vec![];
    match stream.read_to_end(&mut bytes) {
        Ok(_) => {}
        Err(e) if e.kind() == ErrorKind::ConnectionReset => {}
        Err(e) => panic!("no answer: {e}"),
    }
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    let Some(end) = end else { return Answer { status: 0, headers: String::new(), body: bytes } };
    let headers = String::from_utf8(bytes[..end].to_vec()).expect("text");
    let status = headers.split(' ').nth(1).and_then(|text| text.parse().ok()).expect("a status");
    Answer { status, headers, body: bytes[end + 4..].to_vec() }
}

/// The rows of data.csv.
pub(crate) fn rows(folder: &Folder) -> Vec<Vec<f64>> {
    let text = String::from_utf8(folder.read("data.csv")).expect("text");
    let row = |line: &str| line.split(',').map(|v| v.parse().expect("a number")).collect();
    text.lines().skip(1).map(row).collect()
}

fn array(rows: &[Vec<f64>]) -> Vec<u8> {
    let (count, cols) = (rows.len(), rows[0].len());
    let values = rows.concat();
    let array = Array::matrix(count, cols, &values, Dtype::F64).expect("a matrix");
    npy_bytes(&array).expect("bytes")
}

pub(crate) fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(all) => all.iter().flat_map(numbers).collect(),
        value => vec![value.as_f64().expect("a number")],
    }
}

#[test]
fn answers_have_the_bytes_that_the_verbs_write() {
    let folder = Folder::fitted();
    let server = Server::start(&folder, "serve run");
    let x = array(&rows(&folder));
    for (verb, out) in [("encode", "latent.npy"), ("project", "projected.npy")] {
        folder.succeeds(&format!("{verb} run data.csv --out {out}"));
        let answer = server.npy(&format!("/{verb}"), &x);
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(answer.body == folder.read(out), "{verb}: the same bytes");
    }
    folder.succeeds("decode run latent.npy --out decoded.npy");
    assert!(server.npy("/decode", &folder.read("latent.npy")).body == folder.read("decoded.npy"));
    folder.succeeds("sample run -n 7 --seed 3 --out drawn.npy");
    let draw = json!({"n": 7, "seed": 3}).to_string();
    let headers = [("Content-Type", JSON), ("Accept", NPY)];
    let answer = server.ask("/sample", &headers, draw.as_bytes());
    assert!(answer.body == folder.read("drawn.npy"), "{answer:?}");
    let other = json!({"n": 7, "seed": 4}).to_string();
    assert!(server.ask("/sample", &headers, other.as_bytes()).body != answer.body, "another seed");
}

#[test]
fn scores_are_those_of_the_verb_in_both_formats() {
    let folder = Folder::fitted();
    let server = Server::start(&folder, "serve run");
    let x = rows(&folder);
    folder.succeeds("score run data.csv --out scores.npz");
    let answer = server.json("/score", &json!({ "x": x }));
    assert_eq!((answer.status, answer.header("content-type")), (200, Some(JSON)));
    let said = answer.json();
    let expected = |name: &str| {
        read_npz_array(&folder.path("scores.npz"), name).expect("an array").into_values()
    };
    let mut columns = vec![];
    for name in ["log_prob", "reconstruction_error", "latent"] {
        let (found, expected) = (numbers(&said[name]), expected(name));
        assert_eq!(found.len(), 300);
        #[expect(clippy::cast_possible_truncation, reason = "it was single before")]
        let same = found.iter().zip(&expected).all(|(a, b)| *a as f32 == *b as f32);
        assert!(same, "{name}");
        columns.push(expected);
    }
    let answer = server.npy("/score", &array(&x));
    assert_eq!(answer.header("mflow-columns"), Some("log_prob,reconstruction_error,latent_0"));
    let table = read_npy_bytes(&answer.body, "answer").expect("an array");
    assert_eq!((table.rows(), table.cols()), (300, 3));
    for (i, row) in table.values().chunks(3).enumerate() {
        assert!(row.iter().zip(&columns).all(|(a, column)| *a == column[i]), "row {i}");
    }
    // A single row, by itself.
    let one = server.json("/score", &json!({ "x": x[0] })).json();
    assert_eq!(numbers(&one["log_prob"]).len(), 1);
}

#[test]
fn a_conditional_model_takes_a_context() {
    let folder = Folder::conditional();
    let server = Server::start(&folder, "serve run");
    let x = rows(&folder);
    let context: Vec<Vec<f64>> = (0..300).map(|i| vec![f64::from(i % 7) / 7.]).collect();
    folder.succeeds("encode run data.csv --context context.csv --out latent.npy");
    let both: Vec<Vec<f64>> = x.iter().zip(&context).map(|(x, c)| [&x[..], c].concat()).collect();
    let encoded = server.npy("/encode", &array(&both));
    assert!(encoded.body == folder.read("latent.npy"), "{}", encoded.headers);
    let said = server.json("/encode", &json!({"x": x, "context": context})).json();
    let expected = read_npy_bytes(&encoded.body, "answer").expect("an array").into_values();
    let same = numbers(&said["latent"]).iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-6);
    assert!(same, "as of the array");
    // One context for all.
    let [first, second] =
        [0.2, 0.9].map(|c| server.json("/score", &json!({"x": x[..5], "context": [c]})).json());
    assert_eq!(numbers(&first["log_prob"]).len(), 5);
    assert_ne!(first["log_prob"], second["log_prob"], "the context matters");
    let drawn = server.json("/sample", &json!({"context": context[..4]})).json();
    assert_eq!(drawn["x"].as_array().map(Vec::len), Some(4), "one point for each");
    for (body, part) in [
        (json!({"x": x}), "expected `context` of 1 numbers, found none"),
        (
            json!({"x": x[..3], "context": context[..2]}),
            "expected 3 rows, one for each, or 1 for all; found 2",
        ),
        (json!({"x": x[..3], "context": [0.1, 0.2]}), "`context`: row 0: expected 1 numbers"),
    ] {
        let answer = server.json("/score", &body);
        assert_eq!(answer.status, 400);
        assert!(answer.error().contains(part), "{}", answer.error());
    }
    let answer = server.npy("/score", &array(&x));
    assert!(answer.error().contains("expected 4 columns, 3 of `x` and then 1 of the context"));
}

#[test]
fn wrong_questions_are_refused_in_words() {
    let folder = Folder::fitted();
    let server = Server::start(&folder, "serve run");
    let deep = "[".repeat(100_000);
    let of_x = |x: &str| format!("{{\"x\": {x}}}");
    let claims = |shape: &str| {
        let text = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}\n");
        let length = u16::try_from(text.len()).expect("short").to_le_bytes();
        [b"\x93NUMPY\x01\x00", &length[..], text.as_bytes()].concat()
    };
    let whole = array(&[vec![0.1, 0.2, 0.3]]);
    let nan = array(&[vec![0.1, f64::NAN, 0.3]]);
    let json_bodies: Vec<(&str, Vec<u8>, u16, &str)> = vec![
        ("/score", b"".to_vec(), 400, "EOF"),
        ("/score", b"[1, 2, 3]".to_vec(), 400, "expected an object with the field `x`"),
        ("/score", b"{}".to_vec(), 400, "expected `x`, an array of rows; found none"),
        ("/score", b"\xff\xfe".to_vec(), 400, "expected"),
        ("/score", of_x("[]").into(), 400, "`x`: expected a row, found none"),
        ("/score", of_x("[[]]").into(), 400, "`x`: row 0: expected 3 numbers, found 0"),
        ("/score", of_x("[[1,2,3],[1,2]]").into(), 400, "`x`: row 1: expected 3 numbers, found 2"),
        ("/score", of_x("[[1,2,3,4]]").into(), 400, "`x`: row 0: expected 3 numbers, found more"),
        ("/score", of_x("[1,2]").into(), 400, "`x`: row 0: expected 3 numbers, found 2"),
        ("/score", of_x("[1,2,3,4]").into(), 400, "`x`: row 0: expected 3 numbers, found more"),
        ("/score", of_x("[[1,2,3],4]").into(), 400, "found rows and numbers between them"),
        ("/score", of_x("[[[1,2,3]]]").into(), 400, "invalid type: sequence"),
        ("/score", of_x("[[1,2,null]]").into(), 400, "invalid type: null"),
        ("/score", of_x("[[1,2,\"3\"]]").into(), 400, "invalid type: string"),
        ("/score", of_x("[[1,2,NaN]]").into(), 400, "line 1 column"),
        ("/score", of_x("[[1,2,1e999]]").into(), 400, "number out of range"),
        (
            "/score",
            of_x("[[1,2,1e300]]").into(),
            400,
            "`x`: row 0, column 2: the number is too large for single",
        ),
        ("/score", of_x("{\"0\": 1}").into(), 400, "an array of rows of 3 numbers"),
        ("/score", of_x(&deep).into(), 400, "invalid type: sequence"),
        ("/score", deep.clone().into(), 400, "an object"),
        ("/score", b"{\"x\": [[1,2,3]]} {}".to_vec(), 400, "trailing characters"),
        ("/score", b"{\"x\": [[1,2,3]], \"x\": [[1,2,3]]}".to_vec(), 400, "duplicate field `x`"),
        (
            "/score",
            b"{\"y\": [[1,2,3]]}".to_vec(),
            400,
            "expected the field `x` or `context`, found \"y\"",
        ),
        (
            "/score",
            b"{\"x\": [[1,2,3]], \"context\": [1]}".to_vec(),
            400,
            "the model is unconditional",
        ),
        ("/decode", of_x("[[1]]").into(), 400, "expected the field `latent` or `context`"),
        ("/sample", b"{}".to_vec(), 400, "expected `n`"),
        ("/sample", b"{\"n\": 0}".to_vec(), 400, "`n`: expected a point or more"),
        ("/sample", b"{\"n\": -1}".to_vec(), 400, "invalid value"),
        ("/sample", b"{\"n\": 1.5}".to_vec(), 400, "invalid type"),
        (
            "/sample",
            b"{\"n\": 1000000000000}".to_vec(),
            413,
            "ask for fewer rows at a time, or raise --max-body",
        ),
        ("/sample", b"{\"n\": 18446744073709551615}".to_vec(), 413, "rows of 3 numbers"),
        ("/sample", b"{\"n\": 2, \"x\": 1}".to_vec(), 400, "expected the field `n`, `seed`"),
        ("/scores", b"{}".to_vec(), 404, "expected one of the paths /score, /encode"),
        ("/health", b"{}".to_vec(), 405, "expected the method GET, HEAD, found POST"),
    ];
    for (path, body, status, part) in json_bodies {
        let answer = server.ask(path, &[("Content-Type", JSON)], &body);
        let text = String::from_utf8_lossy(&body).chars().take(60).collect::<String>();
        assert_eq!(answer.status, status, "{path} {text}: {answer:?}");
        assert!(
            answer.error().contains(part),
            "{path} {text}: {:?} lacks {part:?}",
            answer.error()
        );
    }
    for (path, body, part) in [
        ("/score", vec![], "body"),
        ("/score", b"PK\x03\x04".to_vec(), "body"),
        ("/score", whole[..whole.len() - 1].to_vec(), "expected 24 bytes"),
        ("/score", [&whole[..], b"x"].concat(), "body"),
        ("/score", nan, "found NaN in row 0 (counting from 0), column 1"),
        ("/score", claims("(1152921504606846976, 3)"), "body"),
        ("/score", claims("(0, 3)"), "body"),
        ("/score", array(&[vec![1., 2.]]), "expected 3 columns, 3 of `x`, found 2"),
        ("/sample", whole.clone(), "expected JSON for /sample"),
    ] {
        let answer = server.npy(path, &body);
        assert_eq!(answer.status, 400, "{answer:?}");
        assert!(answer.error().contains(part), "{:?} lacks {part:?}", answer.error());
    }
    for (headers, status, part) in [
        (vec![], 415, "expected the header Content-Type"),
        (vec![("Content-Type", "text/html")], 415, "text/html"),
        (vec![("Content-Type", JSON), ("Content-Encoding", "gzip")], 415, "gzip"),
    ] {
        let answer = server.ask("/score", &headers, b"{}");
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(answer.error().contains(part), "{}", answer.error());
    }
    let answer = server.raw(b"PUT /score HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n");
    assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")));
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00"[..],
        b"GET\r\n\r\n",
        b"POST /score HTTP/1.1\r\nContent-Length: x\r\n\r\n",
    ] {
        let answer = server.raw(garbage);
        assert!([0, 400].contains(&answer.status), "{answer:?}");
    }
    let long =
        format!("GET /health HTTP/1.1\r\nHost: here\r\nlong: {}\r\n\r\n", "x".repeat(100_000));
    assert_eq!(server.raw(long.as_bytes()).status, 431, "long headers");
    // After all that it still answers.
    assert_eq!(server.json("/score", &json!({"x": [1., 2., 3.]})).status, 200);
}

#[test]
fn it_says_what_it_is_and_counts_what_it_did() {
    let folder = Folder::fitted();
    let server = Server::start(&folder, "serve run");
    assert_eq!(server.get("/health").json(), json!({"status": "ok"}));
    let model = server.get("/model").json();
    assert_eq!((&model["data_dim"], &model["manifold_dim"]), (&json!(3), &json!(1)));
    assert_eq!(model["columns"], json!(["x", "y", "z"]));
    assert_eq!(model["answers"]["score"]["latent"], json!(["B", 1]));
    for _ in 0..3 {
        server.json("/score", &json!({"x": [[1., 2., 3.], [4., 5., 6.]]}));
    }
    server.json("/score", &json!({"x": [1.]}));
    assert_eq!(server.metric("mflow_requests_total{path=\"score\",status=\"2xx\"}"), Some(3.));
    assert_eq!(server.metric("mflow_requests_total{path=\"score\",status=\"4xx\"}"), Some(1.));
    assert_eq!(server.metric("mflow_rows_total{path=\"score\"}"), Some(6.));
    assert_eq!(server.metric("mflow_request_seconds_count{path=\"score\"}"), Some(4.));
    assert_eq!(server.metric("mflow_requests_in_flight"), Some(0.));
    // A connection that stays answers several times.
    let mut stream = server.connect();
    let once = "GET /health HTTP/1.1\r\nHost: here\r\n\r\n";
    let last = "GET /health HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n";
    stream.write_all(format!("{once}{once}{last}").as_bytes()).expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("text");
    assert_eq!(text.matches("{\"status\":\"ok\"}").count(), 3, "{text}");
}

#[test]
fn bodies_that_are_too_large_or_too_slow_are_cut_off() {
    let folder = Folder::fitted();
    let server = Server::start(&folder, "serve run --max-body 1 --time-limit 1");
    let large = vec![b' '; 3 << 20];
    let answer = server.ask("/score", &[("Content-Type", JSON)], &large);
    assert_eq!(answer.status, 413);
    assert!(answer.error().contains("at most 1048576 bytes, found 3145728"), "{}", answer.error());
    // In chunks, without a length.
    let head = "POST /score HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunk = [b"10000\r\n", &vec![b' '; 1 << 16][..], b"\r\n"].concat();
    let answer = server.raw(&[head.as_bytes(), &chunk.repeat(40)].concat());
    assert_eq!(answer.status, 413, "{answer:?}");
    // Neither the head nor the body arrives.
    for (start, status) in [
        ("POST /score HTT", vec![0, 408]),
        (
            "POST /score HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{",
            vec![408],
        ),
    ] {
        let mut stream = server.connect();
        stream.write_all(start.as_bytes()).expect("sent");
        let answer = read(&mut stream);
        assert!(status.contains(&answer.status), "{start}: {answer:?}");
    }
    assert_eq!(server.json("/score", &json!({"x": [1., 2., 3.]})).status, 200);
}

#[test]
fn more_connections_than_allowed_wait() {
    let folder = Folder::fitted();
    let server = Server::start(&folder, "serve run --connections 1");
    let mut first = server.connect();
    first.write_all(b"GET /health HTTP/1.1\r\nHost: here\r\n\r\n").expect("sent");
    let mut part = [0; 12];
    first.read_exact(&mut part).expect("an answer");
    let mut second = server.connect();
    second
        .write_all(b"GET /health HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
        .expect("sent");
    second.set_read_timeout(Some(Duration::from_millis(200))).expect("a limit");
    let waits = second.read(&mut part).expect_err("it waits");
    assert!([ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&waits.kind()), "{waits}");
    drop(first);
    second.set_read_timeout(Some(Duration::from_secs(60))).expect("a limit");
    assert_eq!(read(&mut second).status, 200);
}

#[test]
fn a_signal_lets_it_finish_what_was_asked() {
    let folder = Folder::fitted();
    let Server { running, address } = Server::start(&folder, "serve run --max-body 64 --threads 1");
    let mut stream = TcpStream::connect(&address).expect("a connection");
    let body = json!({"n": 1_000_000}).to_string();
    let head = format!(
        "POST /sample HTTP/1.1\r\nHost: here\r\nContent-Type: {JSON}\r\nAccept: {NPY}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).expect("sent");
    let other = Server { running, address };
    Folder::wait_until("it is at work", || other.metric("mflow_requests_in_flight") == Some(1.));
    other.running.signal("TERM");
    let Server { running, address } = other;
    let answer = read(&mut stream);
    assert_eq!(answer.status, 200, "{}", answer.headers);
    assert_eq!(read_npy_bytes(&answer.body, "answer").expect("whole").rows(), 1_000_000);
    let ended = running.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert!(ended.err.contains("all questions are answered"), "{}", ended.err);
    TcpStream::connect(&address).expect_err("it has ended");
}

#[test]
fn a_service_that_cannot_start_says_why() {
    let folder = Folder::fitted();
    let server = Server::start(&folder, "serve run");
    folder.fails(
        &format!("serve run --address {}", server.address),
        1,
        &["listening at 127.0.0.1"],
    );
    folder.fails("serve nothing", 1, &["nothing"]);
    folder.fails("serve run --address here", 2, &["--address"]);
    let mut open = folder.start("serve run --address 0.0.0.0:0");
    assert!(open.line().starts_with("http://0.0.0.0:"), "it starts");
    open.signal("TERM");
    let ended = open.wait();
    assert!(ended.err.contains("warning: 0.0.0.0:"), "{}", ended.err);
    assert!(ended.err.contains("no password"), "{}", ended.err);
}
