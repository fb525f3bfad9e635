//! The `socket` device: each line to a TCP, UDP or unix peer, within a bounded time; a broken connection is made anew
//! once per line.

use std::io::{self, Write};
use std::net::{TcpStream, ToSocketAddrs, UdpSocket};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use parking_lot::Mutex;

/// See the module.
#[derive(Debug)]
pub(super) struct SocketDevice {
    kind: SocketKind,
    address: String,
    timeout: Duration,
    connection: Mutex<Option<Connection>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SocketKind {
    Tcp,
    Udp,
    Unix,
}

#[derive(Debug)]
enum Connection {
    Tcp(TcpStream),
    Udp(UdpSocket),
    Unix(UnixStream),
}

impl SocketDevice {
    pub(super) fn new(kind: SocketKind, address: &str, timeout: Duration) -> Self {
        Self { kind, address: address.to_owned(), timeout, connection: Mutex::new(None) }
    }

    /// # Errors
    /// The peer takes the line neither over the open connection nor over a new one.
    pub(super) fn write(&self, line: &[u8]) -> io::Result<()> {
        let mut connection = self.connection.lock();
        if let Some(open) = connection.as_mut()
            && open.send(line).is_ok()
        {
            return Ok(());
        }
        *connection = None;
        let mut fresh = self.connect()?;
        fresh.send(line)?;
        *connection = Some(fresh);
        Ok(())
    }

    fn connect(&self) -> io::Result<Connection> {
        match self.kind {
            SocketKind::Tcp => {
                let address =
                    self.address.to_socket_addrs()?.next().ok_or(io::ErrorKind::AddrNotAvailable)?;
                let stream = TcpStream::connect_timeout(&address, self.timeout)?;
                stream.set_write_timeout(Some(self.timeout))?;
                Ok(Connection::Tcp(stream))
            }
            SocketKind::Udp => {
                let address =
                    self.address.to_socket_addrs()?.next().ok_or(io::ErrorKind::AddrNotAvailable)?;
                let socket = UdpSocket::bind(if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" })?;
                socket.connect(address)?;
                Ok(Connection::Udp(socket))
            }
            SocketKind::Unix => {
                let stream = UnixStream::connect(&self.address)?;
                stream.set_write_timeout(Some(self.timeout))?;
                Ok(Connection::Unix(stream))
            }
        }
    }
}

impl Connection {
    fn send(&mut self, line: &[u8]) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.write_all(line),
            Self::Unix(stream) => stream.write_all(line),
            Self::Udp(socket) => socket.send(line).map(|_| ()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::TcpListener;

    #[test]
    fn a_lost_peer_is_found_again() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let device = SocketDevice::new(SocketKind::Tcp, &address, Duration::from_secs(5));
        device.write(b"one\n").unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        let mut buffer = [0; 4];
        peer.read_exact(&mut buffer).unwrap();
        assert_eq!(&buffer, b"one\n");
        drop(listener);
        drop(peer);
        // The first write into a closed connection may still succeed; one of the next must fail.
        assert!((0..100).any(|_| device.write(b"two\n").is_err()));
    }
}
