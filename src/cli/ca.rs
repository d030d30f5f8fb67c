//! `valetkey ca`: where our certificates are, a new generation of them, and a copy to take elsewhere.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::path::PathBuf;

use clap::Args;
use clap::Subcommand;

use crate::cli::Exit;
use crate::cli::Failure;
use crate::cli::Output;
use crate::model::Clock as _;
use crate::os::SystemClock;
use crate::tls;
use crate::tls::Bundle;
use crate::tls::CaError;

/// The local certificates that agents trust.
#[derive(Debug, Args)]
pub struct CaArgs {
    #[command(subcommand)]
    command: CaCommand,
}

#[derive(Debug, Subcommand)]
enum CaCommand {
    /// Print where the bundle of the system's roots and ours is
    Path {
        /// The file that has our roots alone
        #[arg(long)]
        own: bool,
    },
    /// Replace root and intermediate by new ones; what trusted the old ones must start again
    Rotate,
    /// Write our roots, to trust them elsewhere
    Export {
        /// The newest root alone, as DER, instead of all of them as PEM
        #[arg(long, requires = "out")]
        der: bool,
        /// Write to this new file instead of standard output
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

/// Runs `valetkey ca` on the authority in `folder`.
pub fn run(args: CaArgs, folder: &Path, output: &mut Output) -> Result<Exit, Failure> {
    match args.command {
        CaCommand::Path { own } => path(folder, own, output),
        CaCommand::Rotate => rotate(folder, output),
        CaCommand::Export { der, out } => export(folder, der, out.as_deref(), output),
    }
}

fn path(folder: &Path, own: bool, output: &mut Output) -> Result<Exit, Failure> {
    let bundle = Bundle::below(folder);
    let path = if own { bundle.own } else { bundle.merged };
    if !path.is_file() {
        return Err(none_yet());
    }
    output.data(path.display());
    Ok(Exit::Done)
}

fn rotate(folder: &Path, output: &mut Output) -> Result<Exit, Failure> {
    let system = tls::platform_roots(None);
    for error in &system.errors {
        output.talk(format_args!("warning: {error}"));
    }
    let bundle = tls::rotate(folder, &system, SystemClock::new().now()).map_err(|error| failure(&error))?;
    output.talk("made a new root and intermediate; the old ones are gone");
    output.talk("a running daemon takes them up when it reloads (SIGHUP); agents that are running must start again");
    output.data(bundle.merged.display());
    Ok(Exit::Done)
}

fn export(folder: &Path, der: bool, out: Option<&Path>, output: &mut Output) -> Result<Exit, Failure> {
    let roots = tls::own_roots(folder, SystemClock::new().now()).map_err(|error| failure(&error))?;
    let newest = roots.last().ok_or_else(none_yet)?;
    let pem = tls::to_pem(&roots);
    let Some(out) = out else {
        output.data(pem.trim_end());
        return Ok(Exit::Done);
    };
    let bytes = if der { newest.as_ref() } else { pem.as_bytes() };
    // never over another file: what is exported here is trusted elsewhere
    let written = OpenOptions::new().write(true).create_new(true).mode(0o644).open(out);
    written.and_then(|mut file| file.write_all(bytes)).map_err(|error| {
        Failure::new(Exit::NotPermitted, format!("could not write `{}`", out.display()))
            .caused_by(&error)
            .hint("name a file that does not exist yet")
    })?;
    output.talk(format_args!("wrote `{}`", out.display()));
    Ok(Exit::Done)
}

fn none_yet() -> Failure {
    Failure::new(Exit::Refused, "there are no certificates yet").hint("start the daemon once: valetkey daemon")
}

fn failure(error: &CaError) -> Failure {
    let failure = Failure::new(Exit::NotPermitted, "could not use the local certificates").caused_by(error);
    match error.hint() {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use clap::Parser;

    use super::*;
    use crate::model::Host;
    use crate::tls::CertificateAuthority;
    use crate::tls::Roots;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: CaArgs,
    }

    fn ca(folder: &Path, line: &[&str]) -> Result<Exit, Failure> {
        let line = Line::try_parse_from([&["ca"], line].concat()).unwrap();
        run(line.args, folder, &mut Output::new())
    }

    #[test]
    fn before_first_use_there_is_nothing_to_show() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("ca");
        assert!(ca(&folder, &["path"]).is_err());
        assert!(ca(&folder, &["export"]).is_err());
        assert!(!folder.exists(), "looking makes nothing");
    }

    #[test]
    fn the_newest_root_is_exported_and_no_file_is_overwritten() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("ca");
        let hosts = [Host::parse("api.example.com").unwrap()];
        let authority = CertificateAuthority::open(&folder, &hosts, Arc::new(SystemClock::new())).unwrap();
        authority.write_bundle(&Roots::new(Vec::new(), Vec::new())).unwrap();
        assert_eq!(ca(&folder, &["path", "--own"]).unwrap(), Exit::Done);

        let out = home.path().join("root.der");
        assert_eq!(ca(&folder, &["export", "--der", "--out", out.to_str().unwrap()]).unwrap(), Exit::Done);
        assert_eq!(std::fs::read(&out).unwrap(), authority.roots()[0].as_ref());
        assert!(ca(&folder, &["export", "--out", out.to_str().unwrap()]).is_err());
        assert!(Line::try_parse_from(["ca", "export", "--der"]).is_err(), "DER is not for a terminal");
    }

    #[test]
    fn rotate_leaves_one_new_root() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("ca");
        let hosts = [Host::parse("api.example.com").unwrap()];
        let authority = CertificateAuthority::open(&folder, &hosts, Arc::new(SystemClock::new())).unwrap();
        let before = authority.roots();
        assert_eq!(ca(&folder, &["rotate"]).unwrap(), Exit::Done);
        let after = tls::own_roots(&folder, SystemClock::new().now()).unwrap();
        assert_eq!(after.len(), 1);
        assert_ne!(after, before);
    }
}
