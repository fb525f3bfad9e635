//! The worker threads: started, told, joined.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use crate::proxy::access_log::AccessLogWriter;
use crate::proxy::decisions::Decisions;
use crate::proxy::metrics::Metrics;
use crate::proxy::worker::{self, Command, Shared};

use super::parts::StartError;

/// Commands one worker may have waiting; a reload sends a few per listener.
const MAX_COMMANDS: usize = 256;
/// How often the drain looks whether the workers have ended.
const LOOK: Duration = Duration::from_millis(20);
/// What a worker gets beyond the grace to cut its connections and end.
const CUT: Duration = Duration::from_secs(1);

/// All workers of the process.
#[derive(Debug)]
pub(super) struct Workers {
    threads: Vec<(mpsc::Sender<Command>, JoinHandle<()>)>,
}

// === impl Workers ===

impl Workers {
    pub(super) fn start(
        count: usize,
        shared: &Arc<Shared>,
        metrics: &Metrics,
        decisions: &Decisions,
    ) -> Result<Self, StartError> {
        let mut threads = Vec::with_capacity(count);
        for number in 0..count {
            let (send, commands) = mpsc::channel(MAX_COMMANDS);
            let (shared, metrics, decisions) = (Arc::clone(shared), metrics.worker(), decisions.worker());
            let thread = std::thread::Builder::new()
                .name(format!("worker-{number}"))
                .spawn(move || {
                    if let Err(error) = worker::run(shared, metrics, decisions, commands) {
                        tracing::error!(%error, "a worker could not start its runtime");
                    }
                })
                .map_err(StartError::Thread)?;
            threads.push((send, thread));
        }
        Ok(Self { threads })
    }

    /// Each worker its own commands.
    pub(super) async fn tell_each(&self, commands: Vec<Vec<Command>>) {
        for ((worker, _), commands) in self.threads.iter().zip(commands) {
            for command in commands {
                send(worker, command).await;
            }
        }
    }

    pub(super) async fn set_access_log(&self, log: Option<&AccessLogWriter>) {
        for (worker, _) in &self.threads {
            send(worker, Command::AccessLog(log.map(AccessLogWriter::worker))).await;
        }
    }

    pub(super) async fn drain(&self, deadline: Instant) {
        for (worker, _) in &self.threads {
            send(worker, Command::Drain { deadline }).await;
        }
    }

    /// Waits until every worker has ended; one that hangs is left behind with the process.
    pub(super) async fn ended(self, deadline: Instant) {
        while self.threads.iter().any(|(_, thread)| !thread.is_finished()) {
            if Instant::now() > deadline + CUT {
                tracing::error!("a worker did not end; leaving it behind");
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
        for (_, thread) in self.threads {
            if thread.join().is_err() {
                tracing::error!("a worker panicked");
            }
        }
    }

    /// A worker thread has ended: nobody asked it to, unless they drain.
    pub(super) fn lost_one(&self) -> bool {
        self.threads.iter().any(|(_, thread)| thread.is_finished())
    }

    pub(super) fn all_ended(&self) -> bool {
        self.threads.iter().all(|(_, thread)| thread.is_finished())
    }
}

async fn send(worker: &mpsc::Sender<Command>, command: Command) {
    if worker.send(command).await.is_err() {
        tracing::error!("a worker is gone and cannot be told");
    }
}
