//! A client that sends exactly the bytes it is given and never waits for ever.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// Nothing in these tests may take longer; the proxy's own limits are set to two seconds and less.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);

pub(crate) struct Client {
    pub(crate) stream: UnixStream,
}

/// What came back until the proxy closed.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) bytes: Vec<u8>,
    pub(crate) took: Duration,
}

impl Client {
    pub(crate) fn connect(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self { stream }
    }

    /// `false`: the proxy has closed its side.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    pub(crate) fn end_of_request(&self) {
        // Fails when the proxy closed first.
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Until the proxy closes; panics when it does neither answer nor close.
    pub(crate) fn rest(&mut self) -> Received {
        let started = Instant::now();
        let mut bytes = Vec::new();
        let mut chunk = [0; 16 * 1024];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => break,
                Ok(read) => bytes.extend_from_slice(&chunk[..read]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    panic!("hangs after {:?}", String::from_utf8_lossy(&bytes))
                }
                Err(_) => break,
            }
        }
        Received { bytes, took: started.elapsed() }
    }

    /// One answer with `Content-Length`, the connection stays usable. Interim answers are skipped.
    pub(crate) fn answer(&mut self) -> String {
        loop {
            let head = self.until(b"\r\n\r\n");
            let lower = head.to_ascii_lowercase();
            if lower.starts_with("http/1.1 1") {
                continue;
            }
            let length = lower.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
            let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
            self.stream.read_exact(&mut body).unwrap();
            return head + &String::from_utf8_lossy(&body);
        }
    }

    pub(crate) fn until(&mut self, end: &[u8]) -> String {
        let mut read = Vec::new();
        let mut byte = [0];
        while !read.ends_with(end) {
            let got = self.stream.read(&mut byte).unwrap_or_else(|error| {
                panic!("{error} after {:?}", String::from_utf8_lossy(&read));
            });
            assert!(got == 1, "closed after {:?}", String::from_utf8_lossy(&read));
            read.push(byte[0]);
        }
        String::from_utf8(read).unwrap()
    }
}

impl Received {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// Status codes of all answers, in order.
    pub(crate) fn statuses(&self) -> Vec<u16> {
        let text = self.text();
        text.split("HTTP/1.").skip(1).filter_map(|answer| answer.get(2..5)?.parse().ok()).collect()
    }

    pub(crate) fn last_status(&self) -> Option<u16> {
        self.statuses().last().copied()
    }
}

/// Send, close the sending side, read to the end.
pub(crate) fn exchange(socket: &Path, bytes: &[u8]) -> Received {
    let mut client = Client::connect(socket);
    client.send(bytes);
    client.end_of_request();
    client.rest()
}
