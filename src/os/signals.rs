//! Signals: which ones this process was told to ignore, and how a child's end becomes an exit code.

use std::process::ExitStatus;

/// Whether the signal was set to be ignored before this program began, as `nohup` does with SIGHUP. A
/// program that installs its own answer to such a signal would undo that for its children too.
pub fn was_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    ignored_in(&status, signal)
}

fn ignored_in(status: &str, signal: i32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    let place = u32::try_from(signal).ok().and_then(|signal| signal.checked_sub(1));
    place.and_then(|place| mask.checked_shr(place)).is_some_and(|rest| rest & 1 == 1)
}

/// Sends a signal; a process that is gone is no failure.
pub fn send(pid: u32, signal: i32) {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    let signal = rustix::process::Signal::from_named_raw(signal);
    if let (Some(pid), Some(signal)) = (pid, signal) {
        let _ = rustix::process::kill_process(pid, signal);
    }
}

/// Whether a process of this number runs. One that has ended and is not waited for yet does not.
pub fn is_alive(pid: u32) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let number = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    let exists = |number| rustix::process::test_kill_process(number) != Err(rustix::io::Errno::SRCH);
    number.is_some_and(exists) && !is_zombie(&state)
}

/// The state is the first field after the name, which may itself hold parentheses (proc_pid_stat(5)).
fn is_zombie(stat: &str) -> bool {
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['Z', 'X']))
}

/// As a shell says it: the code, or 128 and the signal.
pub fn exit_code(status: ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt as _;

    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    #[test]
    fn an_ignored_signal_is_known_from_the_mask() {
        let nohup = "Name:\tx\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000000001\nSigCgt:\t0\n";
        assert!(ignored_in(nohup, 1));
        assert!(!ignored_in(nohup, 2));
        assert!(!ignored_in("", 1));
        assert!(!ignored_in(nohup, 0));
        assert!(!ignored_in(nohup, 65));
    }

    #[test]
    fn ends_become_codes_as_a_shell_has_them() {
        assert_eq!(exit_code(ExitStatus::from_raw(7 << 8)), 7);
        assert_eq!(exit_code(ExitStatus::from_raw(15)), 143);
        assert_eq!(exit_code(ExitStatus::from_raw(0)), 0);
    }

    #[test]
    fn this_process_is_alive() {
        assert!(is_alive(std::process::id()));
        assert!(!is_alive(0));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_that_ended_and_is_not_waited_for_is_not_alive() {
        let mut command = std::process::Command::new("sh");
        let mut child = command.args(["-c", "read line"]).stdin(std::process::Stdio::piped()).spawn().unwrap();
        assert!(is_alive(child.id()));
        drop(child.stdin.take());
        for _ in 0..10_000 {
            if !is_alive(child.id()) {
                break;
            }
            std::thread::yield_now();
            std::thread::sleep(std::time::Duration::from_micros(100));
        }
        assert!(!is_alive(child.id()));
        child.wait().unwrap();
        assert!(is_zombie("7 (a) b) Z 1 2"));
        assert!(!is_zombie("7 (Z) ) S 1 2"));
    }
}
