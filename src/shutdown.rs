//! The drain signal, the count of what is still running, and the word to the service manager.
//!
//! Whoever accepts work holds a [`Drain`]: it stops accepting when the drain begins, and each piece of running work
//! holds a [`Running`] until it is over. It does not know what the work is, nor who asked for the drain.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::time::Duration;

use tokio::sync::watch;

/// Starts the drain and waits for its end.
#[derive(Debug)]
pub struct Drainer {
    begun: watch::Sender<bool>,
    running: watch::Sender<usize>,
}

/// The end of those who serve. Clones share one drain.
#[derive(Debug, Clone)]
pub struct Drain {
    begun: watch::Receiver<bool>,
    running: watch::Sender<usize>,
}

/// One piece of running work; the drain waits until it is dropped.
#[derive(Debug)]
pub struct Running(watch::Sender<usize>);

/// A pair that shares one drain.
#[must_use]
pub fn drain() -> (Drainer, Drain) {
    let (begun, seen) = watch::channel(false);
    let (running, _) = watch::channel(0);
    (Drainer { begun, running: running.clone() }, Drain { begun: seen, running })
}

// === impl Drainer ===
impl Drainer {
    /// Tells everybody to finish; more calls change nothing.
    pub fn begin(&self) {
        self.begun.send_replace(true);
    }

    #[must_use]
    pub fn has_begun(&self) -> bool {
        *self.begun.borrow()
    }

    /// Pieces of work running now.
    #[must_use]
    pub fn running(&self) -> usize {
        *self.running.borrow()
    }

    /// Begins the drain and waits until nothing runs, at most `grace`.
    ///
    /// # Errors
    /// The number of pieces that were still running when the grace was over.
    pub async fn finish(&self, grace: Duration) -> Result<(), usize> {
        self.begin();
        let mut running = self.running.subscribe();
        let ended = tokio::time::timeout(grace, running.wait_for(|count| *count == 0)).await.is_ok();
        if ended { Ok(()) } else { Err(self.running()) }
    }
}

// === impl Drain ===
impl Drain {
    /// Counts one more piece of work.
    #[must_use]
    pub fn run(&self) -> Running {
        self.running.send_modify(|count| *count += 1);
        Running(self.running.clone())
    }

    #[must_use]
    pub fn has_begun(&self) -> bool {
        *self.begun.borrow()
    }

    /// Ready when the drain begins, or when nobody is left who could begin it.
    pub async fn begun(&mut self) {
        // An error means that the `Drainer` is gone: the process is going down.
        drop(self.begun.wait_for(|begun| *begun).await);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// The service manager's notification socket (sd_notify(3)). Without one every message is a no-op.
#[derive(Debug)]
pub struct Notify {
    socket: Option<(UnixDatagram, SocketAddr)>,
}

/// What the service manager is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State<'a> {
    Ready,
    /// A reload begins; [`State::Ready`] ends it. Takes the monotonic clock in microseconds, as `Type=notify-reload` wants.
    Reloading {
        monotonic_us: u64,
    },
    Stopping,
    /// One line for `systemctl status`.
    Status(&'a str),
    Watchdog,
}

// === impl Notify ===
impl Notify {
    /// `address`: the value of `NOTIFY_SOCKET`, read once by the command line. An absolute path, or `@name` for a
    /// socket in the abstract namespace. `None` or empty: not under a service manager.
    ///
    /// # Errors
    /// An address of another kind, or no socket to be had.
    pub fn new(address: Option<&OsStr>) -> io::Result<Self> {
        let Some(address) = address.filter(|address| !address.is_empty()) else {
            return Ok(Self { socket: None });
        };
        let address = match address.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
            [b'/', ..] => SocketAddr::from_pathname(Path::new(address))?,
            _ => {
                let message = "NOTIFY_SOCKET must be an absolute path or begin with `@`";
                return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
            }
        };
        let socket = UnixDatagram::unbound()?;
        // A full queue must not stop the proxy.
        socket.set_nonblocking(true)?;
        Ok(Self { socket: Some((socket, address)) })
    }

    /// Sends one state.
    ///
    /// # Errors
    /// The manager's socket is gone or full. The caller logs it; serving goes on.
    pub fn send(&self, state: State<'_>) -> io::Result<()> {
        let Some((socket, address)) = &self.socket else { return Ok(()) };
        socket.send_to_addr(message(state).as_bytes(), address).map(|_sent| ())
    }
}

fn message(state: State<'_>) -> String {
    match state {
        State::Ready => "READY=1".to_owned(),
        State::Reloading { monotonic_us } => format!("RELOADING=1\nMONOTONIC_USEC={monotonic_us}"),
        State::Stopping => "STOPPING=1".to_owned(),
        // A line feed would begin another assignment.
        State::Status(text) => format!("STATUS={}", text.replace('\n', " ")),
        State::Watchdog => "WATCHDOG=1".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_drain_ends_with_the_last_piece_of_work() {
        let (drainer, mut drain) = drain();
        let work = drain.run();
        let task = tokio::spawn(async move {
            drain.begun().await;
            drop(work);
        });
        assert_eq!((drainer.running(), drainer.has_begun()), (1, false));
        assert_eq!(drainer.finish(Duration::from_secs(30)).await, Ok(()));
        task.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_end_is_counted() {
        let (drainer, drain) = drain();
        let _stuck = (drain.run(), drain.run());
        assert_eq!(drainer.finish(Duration::from_secs(30)).await, Err(2));
        assert!(drain.has_begun());
    }

    #[tokio::test]
    async fn a_drain_without_work_ends_at_once() {
        let (drainer, mut drain) = drain();
        assert_eq!(drainer.finish(Duration::ZERO).await, Ok(()));
        drain.begun().await;
    }

    fn received(manager: &UnixDatagram) -> String {
        let mut buffer = [0; 256];
        let length = manager.recv(&mut buffer).unwrap();
        String::from_utf8(buffer.get(..length).unwrap().to_vec()).unwrap()
    }

    #[test]
    fn the_manager_hears_each_state() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let notify = Notify::new(Some(path.as_os_str())).unwrap();
        let cases = [
            (State::Ready, "READY=1"),
            (State::Reloading { monotonic_us: 7 }, "RELOADING=1\nMONOTONIC_USEC=7"),
            (State::Status("3 servers\nREADY=1"), "STATUS=3 servers READY=1"),
            (State::Watchdog, "WATCHDOG=1"),
            (State::Stopping, "STOPPING=1"),
        ];
        for (state, expected) in cases {
            notify.send(state).unwrap();
            assert_eq!(received(&manager), expected);
        }
    }

    #[test]
    fn an_abstract_socket_works_too() {
        let name = format!("understudy-test-{}", std::process::id());
        let manager = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        let notify = Notify::new(Some(OsStr::new(&format!("@{name}")))).unwrap();
        notify.send(State::Ready).unwrap();
        assert_eq!(received(&manager), "READY=1");
    }

    #[test]
    fn without_a_manager_nothing_happens_and_nonsense_is_refused() {
        for absent in [None, Some(OsStr::new(""))] {
            Notify::new(absent).unwrap().send(State::Ready).unwrap();
        }
        let error = Notify::new(Some(OsStr::new("tcp:1"))).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}
