//! `valetkey token`: API tokens for programs that call a zone's management API.
//!
//! Whoever may open the zone's database may make them: the file is its owner's alone, and so is a password to PostgreSQL.
//! A zone elsewhere makes them for whoever holds a token that may.

use clap::Args;
use clap::Subcommand;

use crate::cli::Exit;
use crate::cli::Failure;
use crate::cli::Output;
use crate::cli::Surroundings;
use crate::cli::token_place::TokenPlace;
use crate::cli::zone::DatabaseArgs;
use crate::model::Clock as _;
use crate::model::Timestamp;
use crate::os::SystemClock;
use crate::zone::ListedToken;
use crate::zone::NewToken;

/// API tokens for a zone's management API: made, listed, revoked, rotated.
///
/// In the database of a zone of yours; or, where `VALETKEY_API_URL` and `VALETKEY_API_TOKEN` are set and no database is
/// named, at that zone, which makes no token that may do more than the one that asks.
#[derive(Debug, Args)]
pub(in crate::cli) struct TokenArgs {
    #[command(subcommand)]
    command: TokenCommand,
    #[command(flatten)]
    database: DatabaseArgs,
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Make a token. It is shown this once.
    Create {
        /// What to call it.
        #[arg(long, value_name = "NAME")]
        name: String,
        /// What it may do: `applications:read,zones:write`, `*:read`, or `admin`.
        #[arg(long, value_name = "SCOPES", value_delimiter = ',', required = true)]
        scope: Vec<String>,
        /// When it ends: a moment (RFC 3339), or a time from now such as `90d` or `12h`.
        #[arg(long, value_name = "WHEN")]
        expires: Option<String>,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show those that there are.
    List {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Put one out of use, for good.
    Revoke {
        /// Its id.
        #[arg(long = "token-id", value_name = "ID")]
        id: String,
    },
    /// Make a successor with the same name, scopes and end; the old one stops at the same moment.
    Rotate {
        /// Its id.
        #[arg(long, value_name = "ID")]
        id: String,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
}

pub(in crate::cli) async fn run(
    args: TokenArgs,
    surroundings: &Surroundings,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let place = TokenPlace::find(&args.database, surroundings, output).await?;
    let outcome = carry_out(args.command, &place, SystemClock::new().now(), output).await;
    place.close().await;
    outcome
}

async fn carry_out(
    command: TokenCommand,
    place: &TokenPlace,
    now: Timestamp,
    output: &mut Output,
) -> Result<Exit, Failure> {
    match command {
        TokenCommand::Create { name, scope, expires, json } => {
            let expires = expires.map(|text| moment(&text, now)).transpose()?;
            show(&place.create(&name, &scope, expires).await?, json, output);
        }
        TokenCommand::List { json } => {
            for token in &place.list().await? {
                match json {
                    true => output.data(serde_json::json!(token)),
                    false => output.data(line(token)),
                }
            }
        }
        TokenCommand::Revoke { id } => {
            place.revoke(&id).await?;
            output.talk(format_args!("{id} is revoked"));
        }
        TokenCommand::Rotate { id, json } => show(&place.rotate(&id).await?, json, output),
    }
    Ok(Exit::Done)
}

fn show(made: &NewToken, json: bool, output: &mut Output) {
    let secret = made.secret.expose_str().unwrap_or_default();
    if json {
        return output.data(serde_json::json!({ "id": made.id, "token": secret }));
    }
    output.data(secret);
    output.talk(format_args!("{} is shown this once: keep it now", made.id));
}

fn line(token: &ListedToken) -> String {
    let used = token.last_used_at.map_or_else(|| "never used".to_owned(), |moment| format!("used {moment}"));
    let ends = token.expires_at.map_or_else(String::new, |moment| format!("  ends {moment}"));
    let scopes = token.scopes.join(",");
    format!("{}  {:8}  {}…  {}  {scopes}  {used}{ends}", token.id, token.status, token.hint, token.name)
}

/// A moment, or so much later than now.
fn moment(text: &str, now: Timestamp) -> Result<Timestamp, Failure> {
    let wrong = || {
        Failure::new(Exit::Usage, format!("`{}` is no time to end", text.escape_debug()))
            .hint("write it like 90d, 12h or 2027-01-31T00:00:00Z")
    };
    if let Some(moment) = Timestamp::parse_rfc3339(text) {
        return if moment > now { Ok(moment) } else { Err(wrong()) };
    }
    let span: jiff::SignedDuration = match text.strip_suffix('d').map(str::parse::<i64>) {
        Some(Ok(days)) if (1..=36_500).contains(&days) => jiff::SignedDuration::from_hours(days * 24),
        _ => text.parse().map_err(|_| wrong())?,
    };
    match std::time::Duration::try_from(span) {
        Ok(span) if !span.is_zero() => Ok(now.after(span)),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_a_moment_or_a_time_from_now() {
        let now = Timestamp::from_seconds(1_800_000_000);
        let seconds = |text: &str| moment(text, now).map(|moment| moment.as_seconds() - now.as_seconds());
        assert_eq!(seconds("90d").unwrap(), 90 * 24 * 3600);
        assert_eq!(seconds("12h").unwrap(), 12 * 3600);
        assert_eq!(seconds("2027-01-15T08:00:10Z").unwrap(), 10);
        for wrong in ["", "x", "0d", "-1h", "2020-01-01T00:00:00Z", "99999999d"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
