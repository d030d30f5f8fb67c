//! Log lines: for developers, on stderr. Records are the ledger's, messages to people the CLI's.

use tracing_subscriber::EnvFilter;

use crate::cli::LogFormat;
use crate::os::Environment;

/// `VALETKEY_LOG` selects, as tracing-subscriber's directives do; `info` without it.
pub(crate) fn start(format: LogFormat, environment: &Environment) {
    let directives = environment.text("VALETKEY_LOG").unwrap_or("info,hyper=warn,rustls=warn,sqlx=warn");
    let filter = EnvFilter::try_new(directives).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    let started = match format {
        LogFormat::Text => builder.with_ansi(false).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    if let Err(error) = started {
        tracing::debug!(%error, "logging was started before");
    }
}
