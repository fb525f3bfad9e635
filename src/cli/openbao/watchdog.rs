//! Ends the nodes when this process vanishes without running its own clean-up (`kill -9`, a crash).
//!
//! A tiny shell holds the reading end of a pipe whose only writer is us: end of file means we are gone, however that
//! happened. Chosen over `PR_SET_PDEATHSIG`, which fires when the *thread* that started the child ends.

use std::io::{self, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

/// Reads `+PID`, `-PID` and `rm DIR` lines; at end of file kills what is left and removes the directories.
const SCRIPT: &str = r#"
trap '' INT TERM HUP
pids=' '
dir=
while read -r word argument; do
  case $word in
    +*) pids="$pids${word#+} " ;;
    -*) pids=$(printf %s "$pids" | sed "s/ ${word#-} / /") ;;
    rm) dir=$argument ;;
  esac
done
for pid in $pids; do kill -9 "$pid" 2>/dev/null; done
[ -z "$dir" ] || { sleep 0.2; rm -rf -- "$dir"; }
"#;

/// Invariant: lists exactly the children that run; a pid is taken off before the system may reuse it.
#[derive(Debug)]
pub(super) struct Watchdog {
    child: Child,
    pipe: Option<ChildStdin>,
}

impl Watchdog {
    /// Starts the helper, in a process group of its own so that Ctrl-C in a terminal passes it by.
    pub(super) fn start() -> io::Result<Self> {
        use std::os::unix::process::CommandExt as _;
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.process_group(0).spawn()?;
        let pipe = child.stdin.take();
        Ok(Self { child, pipe })
    }

    pub(super) fn watch(&mut self, pid: u32) -> io::Result<()> {
        self.tell(&format!("+{pid}\n"))
    }

    pub(super) fn forget(&mut self, pid: u32) -> io::Result<()> {
        self.tell(&format!("-{pid}\n"))
    }

    /// `dir` is removed with everything in it once we are gone; only ever given a directory we made.
    pub(super) fn remove_afterwards(&mut self, dir: &Path) -> io::Result<()> {
        self.tell(&format!("rm {}\n", dir.display()))
    }

    fn tell(&mut self, line: &str) -> io::Result<()> {
        self.pipe.as_mut().map_or(Ok(()), |pipe| pipe.write_all(line.as_bytes()))
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.pipe.take());
        // It ends by itself now; waiting only keeps it from being left as a zombie.
        if let Err(error) = self.child.wait() {
            tracing::debug!(%error, "the watchdog could not be waited for");
        }
    }
}
