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

/// Bytes handed over at once: small enough to tell a peer that takes them from one that does not.
const PIECE: usize = 64 * 1024;

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
        let blames_peer = sent.as_ref().is_err_and(|failed| failed.blames_peer());
        *self.down_until.lock() = blames_peer.then(|| Instant::now() + PAUSE);
        sent.map_err(Failed::into_inner)
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

    fn send(
        &self,
        connection: &mut Option<Connection>,
        line: &[u8],
        deadline: Instant,
    ) -> Result<(), Failed> {
        if let Some(open) = connection.as_mut() {
            match open.send(line, deadline) {
                Err(Failed::Peer(_)) => {}
                sent => {
                    if sent.is_err() {
                        *connection = None;
                    }
                    return sent;
                }
            }
        }
        *connection = None;
        let mut fresh = self.connect(deadline).map_err(Failed::Peer)?;
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

/// Why a line was not taken. Who can write a line can make it as long as a request may be: then it fails alone.
#[derive(Debug)]
enum Failed {
    Peer(io::Error),
    /// Too long for a datagram, or for the time it has though the peer was taking it.
    Line(io::Error),
}

impl Failed {
    fn blames_peer(&self) -> bool {
        matches!(self, Self::Peer(_))
    }

    fn into_inner(self) -> io::Error {
        match self {
            Self::Peer(error) | Self::Line(error) => error,
        }
    }
}

// === impl Connection ===

impl Connection {
    fn send(&mut self, line: &[u8], deadline: Instant) -> Result<(), Failed> {
        match self {
            Self::Stream(socket) => {
                still_open(socket).map_err(Failed::Peer)?;
                send_all(socket, line, deadline)
            }
            Self::Udp(socket) => socket.send(line).map(drop).map_err(|error| {
                let too_long = error.raw_os_error() == Some(rustix::io::Errno::MSGSIZE.raw_os_error());
                if too_long { Failed::Line(error) } else { Failed::Peer(error) }
            }),
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
fn send_all(mut socket: &Socket, mut line: &[u8], deadline: Instant) -> Result<(), Failed> {
    let begin = Instant::now();
    let half = begin + deadline.saturating_duration_since(begin) / 2;
    let mut last_taken = begin;
    // A peer that took something of it in the second half of its time is slow for this line, not gone.
    let late = |last_taken: Instant, error| match last_taken > half {
        true => Failed::Line(error),
        false => Failed::Peer(error),
    };
    while !line.is_empty() {
        let left = left(deadline).map_err(|error| late(last_taken, error))?;
        socket.set_write_timeout(Some(left)).map_err(Failed::Peer)?;
        let piece = line.get(..PIECE).unwrap_or(line);
        match socket.write(piece) {
            Ok(0) => return Err(Failed::Peer(io::ErrorKind::WriteZero.into())),
            Ok(taken) => {
                line = line.get(taken..).unwrap_or_default();
                // A part of a piece is what was taken before the time was over, whenever that was.
                if taken == piece.len() {
                    last_taken = Instant::now();
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                return Err(late(last_taken, error));
            }
            Err(error) => return Err(Failed::Peer(error)),
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
    fn a_line_too_long_for_a_datagram_fails_alone() {
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        let device = SocketDevice::new(SocketKind::Udp, &peer.local_addr().unwrap().to_string(), TIMEOUT);
        for _ in 0..3 {
            assert!(device.write(&[b'x'; 70_000]).is_err());
            device.write(b"x\n").unwrap();
        }
    }

    #[test]
    fn a_line_too_long_for_its_time_fails_alone() {
        // Long enough that a busy machine is not taken for a silent peer.
        const PATIENCE: Duration = Duration::from_secs(1);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let device = tcp(&listener, PATIENCE);
        let slow = std::thread::spawn(move || {
            let mut taken = 0;
            for peer in listener.incoming().take(2) {
                let mut peer = peer.unwrap();
                // Never done with the long line in its time, and never still for half of it.
                while let Ok(read @ 1..) = peer.read(&mut [0; 64 << 10]) {
                    taken += read;
                    if taken > 2 {
                        std::thread::sleep(PATIENCE / 100);
                    }
                }
            }
        });
        assert!(device.write(&vec![b'x'; FLOOD]).is_err());
        device.write(b"x\n").unwrap();
        drop(device);
        slow.join().unwrap();
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
