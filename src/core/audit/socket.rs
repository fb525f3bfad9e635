//! The `socket` device: each line to a TCP, UDP or unix peer, handed to the system before the request goes on. A broken
//! connection is made anew once per line.
//!
//! ```text
//!   up ── a line fails ──> down until `PAUSE` later: lines fail at once ── one line tries again ──> up | down
//! ```
//!
//! A line takes no longer than the device's timeout, waiting for its turn included; looking a name up is the resolver's
//! matter. Callers may wait that long, so they are not to be the threads that serve others.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, ToSocketAddrs as _, UdpSocket};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

/// How long a peer that failed is left alone.
const PAUSE: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug)]
pub(super) struct SocketDevice {
    kind: SocketKind,
    address: String,
    timeout: Duration,
    connection: Mutex<Option<Connection>>,
    /// Until when nobody tries. Apart from the connection: who would fail anyhow does not wait for who tries.
    down_until: Mutex<Option<Instant>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SocketKind {
    Tcp,
    Udp,
    Unix,
}

#[derive(Debug)]
enum Connection {
    Stream(Socket),
    Udp(UdpSocket),
}

// === impl SocketDevice ===

impl SocketDevice {
    pub(super) fn new(kind: SocketKind, address: &str, timeout: Duration) -> Self {
        Self {
            kind,
            address: address.to_owned(),
            timeout,
            connection: Mutex::new(None),
            down_until: Mutex::new(None),
        }
    }

    /// # Errors
    /// The peer takes the line neither over the open connection nor over a new one, or failed a moment ago.
    pub(super) fn write(&self, line: &[u8]) -> io::Result<()> {
        let deadline = Instant::now() + self.timeout;
        self.may_try(deadline)?;
        let mut connection = self.connection.try_lock_until(deadline).ok_or(io::ErrorKind::TimedOut)?;
        let sent = self.send(&mut connection, line, deadline);
        *self.down_until.lock() = sent.as_ref().err().map(|_| Instant::now() + PAUSE);
        sent
    }

    /// After the pause one line tries, and the others go on failing until it is done.
    fn may_try(&self, deadline: Instant) -> io::Result<()> {
        let mut down_until = self.down_until.lock();
        match *down_until {
            Some(end) if Instant::now() < end => {
                Err(io::Error::new(io::ErrorKind::NotConnected, "its peer failed a moment ago"))
            }
            Some(_) => {
                *down_until = Some(deadline + PAUSE);
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn send(&self, connection: &mut Option<Connection>, line: &[u8], deadline: Instant) -> io::Result<()> {
        if let Some(open) = connection.as_mut()
            && open.send(line, deadline).is_ok()
        {
            return Ok(());
        }
        *connection = None;
        let mut fresh = self.connect(deadline)?;
        fresh.send(line, deadline)?;
        *connection = Some(fresh);
        Ok(())
    }

    fn connect(&self, deadline: Instant) -> io::Result<Connection> {
        match self.kind {
            SocketKind::Udp => {
                let address = self.resolved()?;
                let socket = UdpSocket::bind(if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" })?;
                socket.connect(address)?;
                Ok(Connection::Udp(socket))
            }
            SocketKind::Tcp => {
                let address = self.resolved()?;
                stream(Domain::for_address(address), Some(Protocol::TCP), &address.into(), deadline)
            }
            SocketKind::Unix => stream(Domain::UNIX, None, &SockAddr::unix(&self.address)?, deadline),
        }
    }

    fn resolved(&self) -> io::Result<SocketAddr> {
        Ok(self.address.to_socket_addrs()?.next().ok_or(io::ErrorKind::AddrNotAvailable)?)
    }
}

fn stream(
    domain: Domain,
    protocol: Option<Protocol>,
    peer: &SockAddr,
    deadline: Instant,
) -> io::Result<Connection> {
    let socket = Socket::new(domain, Type::STREAM, protocol)?;
    socket.connect_timeout(peer, left(deadline)?)?;
    Ok(Connection::Stream(socket))
}

/// # Errors
/// Nothing is left.
fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

// === impl Connection ===

impl Connection {
    fn send(&mut self, line: &[u8], deadline: Instant) -> io::Result<()> {
        match self {
            Self::Stream(socket) => {
                still_open(socket)?;
                send_all(socket, line, deadline)
            }
            Self::Udp(socket) => socket.send(line).map(drop),
        }
    }
}

/// Nobody sends to us: what there is to read is the end. The first line into a closed connection would be taken and lost.
fn still_open(socket: &Socket) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    let ended = matches!((&*socket).read(&mut [0; 64]), Ok(0));
    socket.set_nonblocking(false)?;
    if ended { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
}

/// All of it by the deadline, though the peer may take it in small pieces.
fn send_all(mut socket: &Socket, mut line: &[u8], deadline: Instant) -> io::Result<()> {
    while !line.is_empty() {
        socket.set_write_timeout(Some(left(deadline)?))?;
        match socket.write(line) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(taken) => line = line.get(taken..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::os::unix::net::UnixListener;

    const TIMEOUT: Duration = Duration::from_millis(200);
    /// Larger than what the system keeps for a peer that does not read.
    const FLOOD: usize = 64 << 20;

    fn tcp(listener: &TcpListener, timeout: Duration) -> SocketDevice {
        SocketDevice::new(SocketKind::Tcp, &listener.local_addr().unwrap().to_string(), timeout)
    }

    #[test]
    fn a_closed_connection_is_seen_and_made_anew() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let device = tcp(&listener, Duration::from_secs(5));
        for line in [b"one\n", b"two\n"] {
            device.write(line).unwrap();
            let (mut peer, _) = listener.accept().unwrap();
            let mut buffer = [0; 4];
            peer.read_exact(&mut buffer).unwrap();
            assert_eq!(&buffer, line);
        }
        drop(listener);
        assert!((0..100).any(|_| device.write(b"three\n").is_err()));
    }

    #[test]
    fn a_peer_that_takes_nothing_costs_its_timeout_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let unread = (TcpListener::bind("127.0.0.1:0").unwrap(), UnixListener::bind(&path).unwrap());
        for device in
            [tcp(&unread.0, TIMEOUT), SocketDevice::new(SocketKind::Unix, path.to_str().unwrap(), TIMEOUT)]
        {
            let begin = Instant::now();
            assert!(device.write(&vec![b'x'; FLOOD]).is_err());
            let took = begin.elapsed();
            assert!(took >= TIMEOUT && took < TIMEOUT * 5, "{took:?}");
            let begin = Instant::now();
            for _ in 0..100 {
                assert_eq!(device.write(b"x\n").unwrap_err().kind(), io::ErrorKind::NotConnected);
            }
            assert!(begin.elapsed() < TIMEOUT / 2);
        }
    }

    #[test]
    fn after_the_pause_one_line_tries_for_all() {
        let device = SocketDevice::new(SocketKind::Tcp, "127.0.0.1:1", TIMEOUT);
        *device.down_until.lock() = Some(Instant::now());
        let deadline = Instant::now() + TIMEOUT;
        assert!(device.may_try(deadline).is_ok());
        assert!(device.may_try(deadline).is_err(), "the first has not come back yet");
        *device.down_until.lock() = Some(Instant::now());
        assert!(device.write(b"x\n").is_err());
        assert!(device.may_try(deadline).is_err());
    }
}
