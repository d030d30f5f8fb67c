//! `valetkey auth`: who the person at this terminal is to a zone.
//!
//! The personal zone of this machine belongs to whoever owns its files, and asks nothing. Any other zone is found by
//! its address and signed in to in a browser, here or on another device.

mod browser;
mod flows;
mod server;
mod wallet;
mod words;

use clap::Args;
use clap::Subcommand;

use crate::cli::Exit;
use crate::cli::Failure;
use crate::cli::Output;
use crate::cli::Surroundings;
use crate::cli::auth::flows::Flow;
use crate::cli::auth::flows::Wish;
use crate::cli::auth::server::Server;
use crate::cli::auth::wallet::Wallet;
use crate::model::Secret;

/// Sign in to a zone, say who you are there, authorize resources.
#[derive(Debug, Args)]
pub(in crate::cli) struct AuthArgs {
    #[command(subcommand)]
    command: AuthCommand,
}

#[derive(Debug, Subcommand)]
enum AuthCommand {
    Signin(SigninArgs),
    Signout(SignoutArgs),
    Whoami(WhoamiArgs),
    Resource(ResourceArgs),
    Mfa(MfaArgs),
}

/// Which zone is meant.
#[derive(Debug, Args)]
struct ZoneArgs {
    /// `local` for the one of this machine, a zone's id, or its issuer URL.
    #[arg(long, value_name = "ZONE", default_value = "local")]
    zone: String,
}

/// Sign in.
///
/// At the personal zone of this machine nothing is asked: its files are yours. Elsewhere a browser opens.
#[derive(Debug, Args)]
struct SigninArgs {
    #[command(flatten)]
    zone: ZoneArgs,
    /// In a browser on this machine, even at the personal zone.
    #[arg(long, conflicts_with = "device")]
    browser: bool,
    /// With a code that is typed on another device.
    #[arg(long)]
    device: bool,
    /// Fill this name in on the page.
    #[arg(long, value_name = "EMAIL", conflicts_with = "device")]
    email: Option<String>,
    /// Say who signed in as JSON.
    #[arg(long)]
    json: bool,
}

/// Sign out: the session ends at the zone, and its tokens are removed here.
#[derive(Debug, Args)]
struct SignoutArgs {
    #[command(flatten)]
    zone: ZoneArgs,
}

/// Say who is signed in: user, organisation, role, scopes, expiry.
#[derive(Debug, Args)]
struct WhoamiArgs {
    #[command(flatten)]
    zone: ZoneArgs,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// Authorize resources: a page says what is asked for, and you decide. Signs in first where you are not.
#[derive(Debug, Args)]
struct ResourceArgs {
    #[command(flatten)]
    zone: ZoneArgs,
    /// The resources' identifiers.
    #[arg(required = true, value_name = "URI")]
    resources: Vec<String>,
    /// Ask for these scopes only, separated by spaces.
    #[arg(long, value_name = "SCOPES")]
    scope: Option<String>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// Show a second factor.
#[derive(Debug, Args)]
struct MfaArgs {
    #[command(subcommand)]
    command: MfaCommand,
}

#[derive(Debug, Subcommand)]
enum MfaCommand {
    /// Sign in once more with your authenticator, for an operation that asks for it.
    Challenge(ZoneArgs),
}

pub(in crate::cli) async fn run(
    args: AuthArgs,
    surroundings: &Surroundings,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let wallet = Wallet::new(&surroundings.paths);
    match args.command {
        AuthCommand::Signin(args) => {
            let server = Server::find(&args.zone.zone, surroundings, output).await?;
            let flow = match (args.device, args.browser || args.email.is_some()) {
                (true, _) => Flow::Device,
                (false, true) => Flow::Browser,
                (false, false) => Flow::Easiest,
            };
            let wish = Wish { login_hint: args.email, ..Wish::sign_in() };
            let signed_in = flows::sign_in(&server, flow, &wish, surroundings, output).await?;
            wallet.keep(&signed_in)?;
            let told = server.who(&signed_in).await?;
            output.data(if args.json { told.to_string() } else { words::signed_in(&told, &server.issuer) });
        }
        AuthCommand::Signout(args) => {
            let server = Server::find(&args.zone.zone, surroundings, output).await?;
            let Some(held) = wallet.held(&server.issuer)? else { return Err(not_signed_in(&server.issuer)) };
            // Whether or not the zone hears it, nothing stays here.
            let heard = server.revoke(&held).await;
            wallet.forget(&server.issuer)?;
            heard?;
            output.talk(format_args!("signed out of {}", server.issuer));
        }
        AuthCommand::Whoami(args) => {
            let server = Server::find(&args.zone.zone, surroundings, output).await?;
            let held = fresh(&server, &wallet).await?;
            let told = server.who(&held).await?;
            output.data(if args.json { told.to_string() } else { words::who(&told, &server.issuer) });
        }
        AuthCommand::Resource(args) => {
            let server = Server::find(&args.zone.zone, surroundings, output).await?;
            let wish = Wish { resources: args.resources, scopes: args.scope, ..Wish::sign_in() };
            let granted = flows::sign_in(&server, Flow::Browser, &wish, surroundings, output).await?;
            output.data(if args.json { words::granted_json(&wish, &granted) } else { words::granted(&wish, &granted) });
            if wallet.held(&server.issuer)?.is_none() {
                // The page signed the person in; the command line is signed in with them.
                let signed_in = flows::sign_in(&server, Flow::Easiest, &Wish::sign_in(), surroundings, output).await?;
                wallet.keep(&signed_in)?;
            }
        }
        AuthCommand::Mfa(MfaArgs { command: MfaCommand::Challenge(args) }) => {
            let server = Server::find(&args.zone, surroundings, output).await?;
            let wish = Wish { again: true, ..Wish::sign_in() };
            let signed_in = flows::sign_in(&server, Flow::Browser, &wish, surroundings, output).await?;
            let told = server.who(&signed_in).await?;
            if told.get("mfa_time").is_none() {
                return Err(Failure::new(Exit::Refused, "no second factor was shown")
                    .hint(format!("add an authenticator at {}/account, then run this again", server.issuer)));
            }
            wallet.keep(&signed_in)?;
            output.talk("the second factor was shown; operations that ask for it work now");
        }
    }
    Ok(Exit::Done)
}

/// Where the zone is, and the token of whoever is signed in to it.
pub(in crate::cli) async fn session_token(
    zone: &str,
    surroundings: &Surroundings,
    output: &mut Output,
) -> Result<(String, Secret), Failure> {
    let server = Server::find(zone, surroundings, output).await?;
    let held = fresh(&server, &Wallet::new(&surroundings.paths)).await?;
    Ok((server.issuer, Secret::new(held.access_token)))
}

/// What is held for the zone, renewed when it is about to end.
async fn fresh(server: &Server, wallet: &Wallet) -> Result<wallet::Held, Failure> {
    let Some(held) = wallet.held(&server.issuer)? else { return Err(not_signed_in(&server.issuer)) };
    if !server.is_stale(&held) {
        return Ok(held);
    }
    match server.renew(&held).await {
        Ok(renewed) => {
            wallet.keep(&renewed)?;
            Ok(renewed)
        }
        Err(server::NotGiven::Refused(error)) if error == "invalid_grant" => {
            wallet.forget(&server.issuer)?;
            Err(not_signed_in(&server.issuer))
        }
        Err(not_given) => Err(not_given.into()),
    }
}

fn not_signed_in(issuer: &str) -> Failure {
    Failure::new(Exit::Refused, format!("you are not signed in to {issuer}"))
        .hint("`valetkey auth signin` signs you in")
}
