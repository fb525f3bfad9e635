//! One HTTP/1.1 request over a plain socket, written as given: a client library would refuse half of what is sent here.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longest wait for the next bytes of an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is sent; the path goes out byte for byte.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sent {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// What came back. Status 0: the connection ended without an answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Got {
    pub(crate) status: u16,
    /// Names in lower case, in the order of the wire.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Got {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// Sends on a connection of its own and reads the answer to its end.
pub(crate) fn send(to: SocketAddr, request: &Sent) -> std::io::Result<Got> {
    let mut stream = TcpStream::connect(to)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // A server that refuses a body early closes its reading side: its answer is what counts.
    let written = stream.write_all(&head(to, request)).and_then(|()| stream.write_all(&request.body));
    read(&mut stream, request.method == "HEAD").or_else(|error| written.and(Err(error)))
}

fn head(to: SocketAddr, request: &Sent) -> Vec<u8> {
    let mut text =
        format!("{} {} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n", request.method, request.path);
    for (name, value) in &request.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    let sized = request.headers.iter().any(|(n, _)| {
        n.eq_ignore_ascii_case("content-length") || n.eq_ignore_ascii_case("transfer-encoding")
    });
    if !sized && (!request.body.is_empty() || request.method == "POST" || request.method == "PUT") {
        text.push_str(&format!("Content-Length: {}\r\n", request.body.len()));
    }
    text.push_str("\r\n");
    text.into_bytes()
}

/// Reads one answer; the connection closes after it.
pub(crate) fn read(stream: &mut impl Read, head_only: bool) -> std::io::Result<Got> {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Err(error) if !complete(&bytes) => return Err(error),
        Ok(_) | Err(_) => {}
    }
    Ok(parse(&bytes, head_only))
}

/// A reset after a whole answer does not take the answer back.
fn complete(bytes: &[u8]) -> bool {
    bytes.windows(4).any(|four| four == b"\r\n\r\n")
}

fn parse(bytes: &[u8], head_only: bool) -> Got {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Got::default() };
    let (head, rest) = bytes.split_at(end);
    let head = String::from_utf8_lossy(head);
    let mut lines = head.split("\r\n");
    let status =
        lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|s| s.parse().ok()).unwrap_or(0);
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let chunked = headers.iter().any(|(n, v)| n == "transfer-encoding" && v.eq_ignore_ascii_case("chunked"));
    let raw = rest.get(4..).unwrap_or_default();
    let body = match (head_only, chunked) {
        (true, _) => Vec::new(),
        (false, true) => unchunked(raw),
        (false, false) => raw.to_vec(),
    };
    Got { status, headers, body }
}

fn unchunked(mut raw: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(line) = raw.windows(2).position(|two| two == b"\r\n") {
        let size = String::from_utf8_lossy(raw.get(..line).unwrap_or_default()).into_owned();
        let Ok(size) = usize::from_str_radix(size.trim(), 16) else { break };
        let Some(chunk) = raw.get(line + 2..line + 2 + size).filter(|c| !c.is_empty()) else { break };
        body.extend_from_slice(chunk);
        raw = raw.get(line + 2 + size + 2..).unwrap_or_default();
    }
    body
}
