//! A node of the cluster whose answers are bytes written by the test. Probes are answered as an active OpenBao.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// One connection from the proxy, positioned after a request's head.
pub(crate) struct Exchange {
    /// Request line and headers as they came, with the empty line.
    pub(crate) head: String,
    stream: TcpStream,
    /// Read from the socket, not yet taken.
    ahead: Vec<u8>,
}

/// What a script leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    Keep,
    Close,
}

type Script = dyn Fn(&mut Exchange) -> Then + Send + Sync;

pub(crate) struct Backend {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
}

/// No test waits longer for a byte.
const PATIENCE: Duration = Duration::from_secs(20);

impl Backend {
    /// Every request that is no probe is recorded and handed to `script`.
    pub(crate) fn start(script: impl Fn(&mut Exchange) -> Then + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (script, record): (Arc<Script>, _) = (Arc::new(script), Arc::clone(&seen));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (script, record) = (Arc::clone(&script), Arc::clone(&record));
                thread::spawn(move || serve(stream, address, &script, &record));
            }
        });
        Self { address, seen }
    }

    /// Answers everything with `{}` after reading the body.
    pub(crate) fn plain() -> Self {
        Self::start(|exchange| {
            exchange.read_body();
            exchange.send(OK)
        })
    }

    /// Heads of all requests so far, probes left out.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn forget(&self) {
        self.seen.lock().unwrap().clear();
    }
}

pub(crate) const OK: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";

impl Exchange {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// All of it, chunks joined. Panics in its thread when the body is cut, which ends the connection.
    pub(crate) fn read_body(&mut self) -> Vec<u8> {
        if let Some(length) = self.header("content-length") {
            let length = length.parse().unwrap();
            return self.take(length);
        }
        let mut body = Vec::new();
        if self.header("transfer-encoding").is_some() {
            loop {
                let size = self.line();
                let size = usize::from_str_radix(size.trim(), 16).unwrap();
                let chunk = self.take(size + 2);
                if size == 0 {
                    break;
                }
                body.extend_from_slice(&chunk[..size]);
            }
        }
        body
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> Then {
        match self.stream.write_all(bytes) {
            Ok(()) => Then::Keep,
            Err(_) => Then::Close,
        }
    }

    /// Until the proxy closes or says something.
    pub(crate) fn wait_for_the_proxy(&mut self) -> Then {
        let _ = self.fill();
        Then::Close
    }

    fn line(&mut self) -> String {
        let end = loop {
            if let Some(end) = self.ahead.windows(2).position(|pair| pair == b"\r\n") {
                break end + 2;
            }
            assert!(self.fill(), "the proxy closed inside a line");
        };
        String::from_utf8(self.ahead.drain(..end).collect()).unwrap()
    }

    fn take(&mut self, length: usize) -> Vec<u8> {
        while self.ahead.len() < length {
            assert!(self.fill(), "the proxy closed inside a body");
        }
        self.ahead.drain(..length).collect()
    }

    fn fill(&mut self) -> bool {
        let mut chunk = [0; 16 * 1024];
        match self.stream.read(&mut chunk) {
            Ok(read) if read > 0 => {
                self.ahead.extend_from_slice(&chunk[..read]);
                true
            }
            Ok(_) | Err(_) => false,
        }
    }
}

fn serve(stream: TcpStream, address: SocketAddr, script: &Arc<Script>, record: &Mutex<Vec<String>>) {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut exchange = Exchange { head: String::new(), stream, ahead: Vec::new() };
    while let Some(head) = next_head(&mut exchange) {
        exchange.head = head;
        let then = match probe_answer(&exchange.head, address) {
            Some(body) => exchange.send(&json(&body)),
            None => {
                record.lock().unwrap().push(exchange.head.clone());
                script(&mut exchange)
            }
        };
        if then == Then::Close {
            return;
        }
    }
}

fn next_head(exchange: &mut Exchange) -> Option<String> {
    loop {
        if let Some(end) = exchange.ahead.windows(4).position(|four| four == b"\r\n\r\n") {
            let head: Vec<u8> = exchange.ahead.drain(..end + 4).collect();
            return Some(String::from_utf8_lossy(&head).into_owned());
        }
        if !exchange.fill() {
            return None;
        }
    }
}

/// What the proxy itself asks a node.
fn probe_answer(head: &str, address: SocketAddr) -> Option<String> {
    let target = head.split(' ').nth(1)?;
    let path = target.split('?').next()?;
    match path {
        "/v1/sys/health" => Some(
            r#"{"initialized":true,"sealed":false,"standby":false,"replication_performance_mode":"primary","replication_dr_mode":"disabled","server_time_utc":1795374528,"version":"2.7.2","cluster_name":"wire","cluster_id":"9dcf58f7-0000-0000-0000-000000000001"}"#
                .into(),
        ),
        "/v1/sys/leader" => Some(format!(
            r#"{{"ha_enabled":true,"is_self":true,"active_time":"2026-11-22T19:08:05.537220968Z","leader_address":"http://{address}","leader_cluster_address":"https://{address}","raft_committed_index":2927,"raft_applied_index":2927}}"#
        )),
        "/v1/sys/internal/ui/mounts" => Some(r#"{"errors":["permission denied"]}"#.into()),
        _ => None,
    }
}

fn json(body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}")
        .into_bytes()
}
