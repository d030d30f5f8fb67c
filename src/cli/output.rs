//! The only place that writes to the terminal.

use std::io::IsTerminal as _;
use std::io::Write as _;

/// stdout for data, stderr for talk.
#[derive(Debug)]
pub struct Output {
    stdout_is_terminal: bool,
    closed: bool,
    failed: Option<std::io::Error>,
}

impl Output {
    /// The process's own streams.
    pub fn new() -> Self {
        Self { stdout_is_terminal: std::io::stdout().is_terminal(), closed: false, failed: None }
    }

    /// A line of data. A closed pipe is no failure: the reader has had enough.
    pub fn data(&mut self, line: impl std::fmt::Display) {
        if let Err(error) = std::io::stdout().lock().write_all(format!("{line}\n").as_bytes()) {
            self.closed = true;
            // a reader that has had enough is no failure; a full disk is
            if error.kind() != std::io::ErrorKind::BrokenPipe {
                self.failed.get_or_insert(error);
            }
        }
    }

    /// Why not all of the data could be written.
    pub fn failed(&self) -> Option<&std::io::Error> {
        self.failed.as_ref()
    }

    /// Whether the reader of the data has gone, without writing to it: who follows may have nothing to write for long.
    pub fn reader_is_gone(&self) -> bool {
        use rustix::event::PollFd;
        use rustix::event::PollFlags;
        use rustix::event::Timespec;

        let stdout = std::io::stdout();
        let mut end = [PollFd::new(&stdout, PollFlags::empty())];
        let polled = rustix::event::poll(&mut end, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
        let broken = PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL;
        self.closed || (polled.is_ok() && end.iter().any(|end| end.revents().intersects(broken)))
    }

    /// A line of talk, in one piece: others may write to the same file.
    pub fn talk(&mut self, line: impl std::fmt::Display) {
        let _ = std::io::stderr().lock().write_all(format!("{line}\n").as_bytes());
    }

    /// How many columns the reader's terminal has; none for a pipe or a file.
    pub fn width(&self) -> Option<usize> {
        let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok().filter(|size| size.ws_col > 0)?;
        self.stdout_is_terminal.then_some(size.ws_col.into())
    }

    /// Whether a person reads the data.
    pub fn is_terminal(&self) -> bool {
        self.stdout_is_terminal
    }
}

impl Default for Output {
    fn default() -> Self {
        Self::new()
    }
}
