//! The worker's side (format into a bounded buffer) and the writer thread (take buffers, write, reopen).

use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::config::proxy::{AccessLog as Config, LogOutput, LoggedPaths};

use super::line::{self, SecondText};
use super::record::AccessRecord;

/// Bytes a worker may have waiting: about 150 lines.
const BUFFER_BYTES: usize = 64 * 1024;
/// No line is longer: a path and a request id are bounded by the head limits, but escaping multiplies.
const LINE_BYTES: usize = 16 * 1024;
/// How long a line may wait for the writer.
const FLUSH_INTERVAL: Duration = Duration::from_millis(100);
/// How long the end waits for what is left to be written.
const LAST_FLUSH: Duration = Duration::from_secs(2);

/// One worker's access log. Used by its worker only.
#[derive(Debug)]
pub struct AccessLog {
    paths: LoggedPaths,
    sample: f64,
    buffer: Arc<Mutex<Vec<u8>>>,
    /// Borrowed within one call, never across an await.
    scratch: RefCell<Scratch>,
    writer: Thread,
}

#[derive(Debug, Default)]
struct Scratch {
    second: SecondText,
    line: Vec<u8>,
}

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "count the dropped ones"]
pub enum Wrote {
    Yes,
    /// Left out by sampling.
    Sampled,
    /// The writer is behind; the line is lost and is to be counted.
    Dropped,
}

/// The writer thread's owner. Dropping it writes what is left and ends the thread.
#[derive(Debug)]
pub struct AccessLogWriter {
    shared: Arc<Shared>,
    config: Config,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    /// One buffer a worker. Locked while a line is copied in or a buffer is swapped out, never across a write.
    buffers: Mutex<Vec<Arc<Mutex<Vec<u8>>>>>,
    reopen: AtomicBool,
    stop: AtomicBool,
}

impl AccessLog {
    /// Writes one line, unless sampling leaves it out or there is no room. Errors (status 400 and above, and writes
    /// in doubt) are never sampled away.
    pub fn write(&self, record: &AccessRecord<'_>) -> Wrote {
        if !self.wanted(record) {
            return Wrote::Sampled;
        }
        let mut scratch = self.scratch.borrow_mut();
        let Scratch { second, line } = &mut *scratch;
        line.clear();
        line::write(line, second, self.paths, record);
        self.hand_over(line)
    }

    fn wanted(&self, record: &AccessRecord<'_>) -> bool {
        record.status >= 400 || record.outcome_unknown || self.sample >= 1.0 || fastrand::f64() < self.sample
    }

    fn hand_over(&self, line: &[u8]) -> Wrote {
        let mut buffer = self.buffer.lock();
        if line.len() > LINE_BYTES || buffer.len() + line.len() > BUFFER_BYTES {
            return Wrote::Dropped;
        }
        let before = buffer.len();
        buffer.extend_from_slice(line);
        if before < BUFFER_BYTES / 2 && buffer.len() >= BUFFER_BYTES / 2 {
            self.writer.unpark();
        }
        Wrote::Yes
    }
}

impl AccessLogWriter {
    /// Opens the output and starts the writer thread.
    ///
    /// # Errors
    /// The file cannot be opened for appending, or the thread cannot be started.
    pub fn start(config: &Config) -> io::Result<Self> {
        let output = open(&config.output)?;
        let shared = Arc::new(Shared::default());
        let (theirs, place) = (Arc::clone(&shared), config.output.clone());
        let thread = std::thread::Builder::new()
            .name("access-log".into())
            .spawn(move || Loop { shared: theirs, place, output, failing: false }.run())?;
        Ok(Self { shared, config: config.clone(), thread: Some(thread) })
    }

    /// The log of one more worker.
    ///
    /// # Panics
    /// Never: the thread is there until this value is dropped.
    #[must_use]
    pub fn worker(&self) -> AccessLog {
        let buffer = Arc::new(Mutex::new(Vec::with_capacity(BUFFER_BYTES)));
        self.shared.buffers.lock().push(Arc::clone(&buffer));
        let writer = self.thread.as_ref().expect("taken only by drop").thread().clone();
        AccessLog {
            paths: self.config.paths,
            sample: self.config.sample,
            buffer,
            scratch: RefCell::default(),
            writer,
        }
    }

    /// Opens the file anew (after it was moved away): for SIGHUP.
    pub fn reopen(&self) {
        self.shared.reopen.store(true, Ordering::Release);
        self.wake();
    }

    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Drop for AccessLogWriter {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        self.wake();
        if let Some(thread) = self.thread.take() {
            finish(thread);
        }
    }
}

/// An output that does not move (a pipe nobody reads) must not keep the process from ending.
fn finish(thread: JoinHandle<()>) {
    let deadline = Instant::now() + LAST_FLUSH;
    while !thread.is_finished() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(1));
    }
    if !thread.is_finished() {
        tracing::error!("the access log's output does not move; its last lines are lost");
    } else if thread.join().is_err() {
        tracing::error!("the access log's writer thread panicked; its last lines may be missing");
    }
}

struct Loop {
    shared: Arc<Shared>,
    place: LogOutput,
    output: Box<dyn Write + Send>,
    /// The last write failed: say so once, not ten times a second.
    failing: bool,
}

impl Loop {
    fn run(mut self) {
        let mut taken = Vec::with_capacity(BUFFER_BYTES);
        loop {
            // Read before the buffers: what was logged before the stop is then certainly seen below.
            let stop = self.shared.stop.load(Ordering::Acquire);
            if self.shared.reopen.swap(false, Ordering::AcqRel) {
                self.reopen();
            }
            self.drain(&mut taken);
            if stop {
                return;
            }
            std::thread::park_timeout(FLUSH_INTERVAL);
        }
    }

    fn drain(&mut self, taken: &mut Vec<u8>) {
        let buffers = self.shared.buffers.lock().clone();
        for buffer in buffers {
            taken.clear();
            std::mem::swap(&mut *buffer.lock(), taken);
            if !taken.is_empty() {
                let wrote = self.output.write_all(taken).and_then(|()| self.output.flush());
                self.note(wrote);
            }
        }
        self.shared.buffers.lock().retain(|buffer| Arc::strong_count(buffer) > 1);
    }

    fn reopen(&mut self) {
        let opened = open(&self.place).map(|output| self.output = output);
        self.note(opened);
    }

    fn note(&mut self, result: io::Result<()>) {
        match result {
            Ok(()) => self.failing = false,
            Err(error) if !self.failing => {
                self.failing = true;
                tracing::error!(%error, output = ?self.place, "cannot write the access log; lines are being lost");
            }
            Err(_) => {}
        }
    }
}

fn open(output: &LogOutput) -> io::Result<Box<dyn Write + Send>> {
    Ok(match output {
        LogOutput::Stdout => Box::new(io::stdout()),
        LogOutput::Stderr => Box::new(io::stderr()),
        LogOutput::File(path) => Box::new(open_file(path)?),
    })
}

/// Readable by the owner and the group: the lines name clients.
fn open_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o640).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::access_log::line::tests::record;

    fn config(path: &Path, sample: f64) -> Config {
        Config { output: LogOutput::File(path.to_owned()), sample, paths: LoggedPaths::Template }
    }

    #[test]
    fn lines_of_all_workers_reach_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("access.log");
        let writer = AccessLogWriter::start(&config(&file, 1.0)).unwrap();
        for log in [writer.worker(), writer.worker()] {
            assert_eq!(log.write(&record()), Wrote::Yes);
        }
        drop(writer);
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(text.lines().count(), 2);
        assert!(text.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
    }

    #[test]
    fn errors_are_logged_whatever_the_sample() {
        let dir = tempfile::tempdir().unwrap();
        let writer = AccessLogWriter::start(&config(&dir.path().join("a"), 0.0)).unwrap();
        let log = writer.worker();
        assert_eq!(log.write(&record()), Wrote::Sampled);
        assert_eq!(log.write(&AccessRecord { status: 503, ..record() }), Wrote::Yes);
        assert_eq!(log.write(&AccessRecord { outcome_unknown: true, ..record() }), Wrote::Yes);
    }

    #[test]
    fn a_full_buffer_drops_and_says_so() {
        let log = AccessLog {
            paths: LoggedPaths::Template,
            sample: 1.0,
            buffer: Arc::default(),
            scratch: RefCell::default(),
            writer: std::thread::current(),
        };
        let wrote: Vec<Wrote> = (0..1000).map(|_| log.write(&record())).collect();
        assert!(wrote.contains(&Wrote::Dropped));
        assert!(log.buffer.lock().len() <= BUFFER_BYTES);
    }

    #[test]
    fn a_moved_file_is_opened_anew() {
        let dir = tempfile::tempdir().unwrap();
        let (file, moved) = (dir.path().join("access.log"), dir.path().join("access.log.1"));
        let writer = AccessLogWriter::start(&config(&file, 1.0)).unwrap();
        std::fs::rename(&file, &moved).unwrap();
        let log = writer.worker();
        writer.reopen();
        assert_eq!(log.write(&record()), Wrote::Yes);
        drop(writer);
        let lines = |path: &Path| std::fs::read_to_string(path).map_or(0, |text| text.lines().count());
        assert_eq!((lines(&moved) + lines(&file), file.exists()), (1, true));
    }

    #[test]
    fn an_unwritable_place_is_an_error_at_start() {
        let result = AccessLogWriter::start(&config(Path::new("/nonexistent/access.log"), 1.0));
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
