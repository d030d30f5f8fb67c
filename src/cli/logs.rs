//! `valetkey logs`: what a daemon in the background said.

use std::fs::File;
use std::io::Read as _;
use std::io::Seek as _;
use std::io::SeekFrom;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use clap::Args;

use crate::cli::Exit;
use crate::cli::Failure;
use crate::cli::Output;
use crate::cli::Surroundings;
use crate::limits;

/// Show what the daemon in the background said.
///
/// A daemon in the foreground speaks to its terminal; one under systemd to the journal:
/// `journalctl --user -u valetkey`.
#[derive(Debug, Args)]
pub(in crate::cli) struct LogsArgs {
    /// Go on with what it says from now on, until interrupted.
    #[arg(short, long)]
    follow: bool,
    /// How many of the last lines.
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 50)]
    lines: usize,
}

pub(in crate::cli) async fn run(
    args: LogsArgs,
    surroundings: &Surroundings,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let path = surroundings.paths.daemon_log();
    let mut log = Log::open(&path).map_err(|error| unreadable(&path, &error))?;
    let last = log.last_lines(args.lines).map_err(|error| unreadable(&path, &error))?;
    if !last.is_empty() {
        output.data(last);
    }
    if args.follow {
        return follow(log, &path, output).await;
    }
    Ok(Exit::Done)
}

/// Until interrupted, until nobody reads, or until the file can't be read any more.
async fn follow(mut log: Log, path: &Path, output: &mut Output) -> Result<Exit, Failure> {
    while !output.reader_is_gone() {
        tokio::time::sleep(limits::DAEMON_LOG_POLL_INTERVAL).await;
        let new = log.new_lines(path).map_err(|error| unreadable(path, &error))?;
        if !new.is_empty() {
            output.data(new);
        }
    }
    Ok(Exit::Done)
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    if error.kind() == std::io::ErrorKind::NotFound {
        let message = format!("no daemon has run in the background: there is no `{}`", path.display());
        return Failure::new(Exit::Refused, message)
            .hint("under systemd: `journalctl --user -u valetkey`; in the foreground it speaks to its terminal");
    }
    Failure::new(Exit::NotPermitted, format!("`{}` cannot be read", path.display())).caused_by(error)
}

/// A log file, and how far it was read. Lines that are not whole yet wait for their end.
struct Log {
    file: File,
    at: u64,
    begun: Vec<u8>,
}

impl Log {
    fn open(path: &Path) -> std::io::Result<Self> {
        Ok(Self { file: File::open(path)?, at: 0, begun: Vec::new() })
    }

    /// The last `count` lines, and no more than [`limits::DAEMON_LOG_TAIL_BYTES`].
    fn last_lines(&mut self, count: usize) -> std::io::Result<String> {
        let length = self.file.metadata()?.len();
        self.at = length.saturating_sub(limits::DAEMON_LOG_TAIL_BYTES);
        let cut = self.at > 0;
        let whole = self.whole_lines()?;
        let lines: Vec<_> = whole.lines().skip(usize::from(cut)).collect();
        Ok(lines.get(lines.len().saturating_sub(count)..).unwrap_or_default().join("\n"))
    }

    /// What was added; from its beginning when the daemon started a new file.
    fn new_lines(&mut self, path: &Path) -> std::io::Result<String> {
        let replaced = path.metadata().is_ok_and(|now| {
            let ours = self.file.metadata().map(|ours| (ours.dev(), ours.ino())).ok();
            ours != Some((now.dev(), now.ino())) || now.len() < self.at
        });
        let mut new = self.whole_lines()?;
        if replaced {
            *self = Self::open(path)?;
            let more = self.whole_lines()?;
            new = [new, more].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n");
        }
        Ok(new)
    }

    fn whole_lines(&mut self) -> std::io::Result<String> {
        self.file.seek(SeekFrom::Start(self.at))?;
        let mut bytes = std::mem::take(&mut self.begun);
        let read = (&mut self.file).take(limits::DAEMON_LOG_TAIL_BYTES).read_to_end(&mut bytes)?;
        self.at += u64::try_from(read).unwrap_or(u64::MAX);
        let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |place| place + 1);
        self.begun = bytes.split_off(end);
        bytes.pop();
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn log_of(text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("daemon.log");
        std::fs::write(&path, text).unwrap();
        (home, path)
    }

    #[test]
    fn the_last_lines_are_shown_and_a_half_one_waits() {
        let (_home, path) = log_of("one\ntwo\nthree\nhal");
        let mut log = Log::open(&path).unwrap();
        assert_eq!(log.last_lines(2).unwrap(), "two\nthree");
        assert_eq!(log.new_lines(&path).unwrap(), "");
        let mut file = File::options().append(true).open(&path).unwrap();
        file.write_all(b"f\nfour\n").unwrap();
        assert_eq!(log.new_lines(&path).unwrap(), "half\nfour");
        assert_eq!(log.new_lines(&path).unwrap(), "");
    }

    #[test]
    fn a_new_file_is_followed_from_its_beginning() {
        let (home, path) = log_of("one\n");
        let mut log = Log::open(&path).unwrap();
        assert_eq!(log.last_lines(10).unwrap(), "one");
        File::options().append(true).open(&path).unwrap().write_all(b"last words\n").unwrap();
        std::fs::rename(&path, home.path().join("daemon.log.1")).unwrap();
        std::fs::write(&path, "new\n").unwrap();
        assert_eq!(log.new_lines(&path).unwrap(), "last words\nnew");
    }

    #[test]
    fn a_log_that_is_too_long_is_read_from_near_its_end() {
        let (_home, path) = log_of("");
        let line = format!("{}\n", "x".repeat(1023));
        std::fs::write(&path, line.repeat(2000)).unwrap();
        let mut log = Log::open(&path).unwrap();
        let last = log.last_lines(usize::MAX).unwrap();
        assert!(last.len() < 1024 * 1024 && last.len() > 1000 * 1000);
        assert!(last.lines().all(|line| line.len() == 1023));
        assert_eq!(log.last_lines(0).unwrap(), "");
    }

    #[tokio::test]
    async fn without_a_log_there_is_a_hint() {
        let home = tempfile::tempdir().unwrap();
        let paths = crate::os::Paths::below(home.path());
        let surroundings = Surroundings { environment: crate::os::Environment::default(), paths };
        let args = LogsArgs { follow: false, lines: 10 };
        let failure = run(args, &surroundings, &mut Output::new()).await.unwrap_err();
        assert_eq!(failure.tell(&mut Output::new()), Exit::Refused);
    }
}
