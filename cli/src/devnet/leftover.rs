//! Processes that a devnet left when it was killed: ended before others take their place, if they
//! are what their file says.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// Looks at a process that was told to end, and the looks after which it is told again.
const LOOKS: u32 = 600;
const AGAIN: u32 = 100;
const LOOK: Duration = Duration::from_millis(50);

fn file(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.pid"))
}

pub fn note(dir: &Path, name: &str, pid: u32) -> io::Result<()> {
    fs::write(file(dir, name), pid.to_string())
}

/// Ends the process of that file, if it runs and has this argument: a number may be another's by
/// now.
pub fn end(dir: &Path, name: &str, argument: &Path) {
    let text = fs::read_to_string(file(dir, name)).unwrap_or_default();
    let Ok(pid) = text.trim().parse::<u32>() else {
        return;
    };
    for look in 0..LOOKS {
        if !runs_with(pid, argument) {
            return;
        }
        if look % AGAIN == 0 {
            tracing::info!(pid, name, "ending what an earlier run left");
            terminate(pid);
        }
        thread::sleep(LOOK);
    }
}

fn runs_with(pid: u32, argument: &Path) -> bool {
    let said = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let mut arguments = said.split(|byte| *byte == 0);
    arguments.any(|it| it == argument.as_os_str().as_bytes())
}

pub fn terminate(pid: u32) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    // Where it is gone already there is nothing to do.
    let _ = pid.map(|pid| kill_process(pid, Signal::TERM));
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn only_the_process_with_the_argument_is_ended() {
        let dir = tempfile::tempdir().unwrap();
        let run = |argument: &str| Command::new("sleep").arg(argument).spawn().unwrap();
        let (mut ours, mut other) = (run("3601"), run("3602"));
        for child in [&mut ours, &mut other] {
            note(dir.path(), "it", child.id()).unwrap();
            // A process that has ended keeps its number, without arguments, until it is waited for.
            end(dir.path(), "it", Path::new("3601"));
        }
        assert!(!ours.wait().unwrap().success());
        assert!(other.try_wait().unwrap().is_none());
        other.kill().unwrap();
        other.wait().unwrap();
    }
}
