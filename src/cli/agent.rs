//! `valetkey agent api`: an authenticated request to a zone's management API, and its answer on stdout.

use std::io::Read as _;

use clap::Args;
use clap::Subcommand;
use hyper::Method;

use crate::cli::Exit;
use crate::cli::Failure;
use crate::cli::Output;
use crate::cli::Surroundings;
use crate::cli::api::Api;

/// What agents and scripts need of a zone.
#[derive(Debug, Args)]
pub(in crate::cli) struct AgentArgs {
    #[command(subcommand)]
    command: AgentCommand,
}

#[derive(Debug, Subcommand)]
enum AgentCommand {
    Api(ApiArgs),
}

/// Ask a zone's management API, and print the body of its answer.
///
/// `VALETKEY_API_URL` says which zone, `VALETKEY_API_TOKEN` who asks: see `valetkey token create`. Without a token it is
/// you, as `valetkey auth signin` signed you in. `{zone}` in the endpoint becomes the zone's id. An answer of 400 or more
/// ends with exit code 1.
#[derive(Debug, Args)]
struct ApiArgs {
    /// The path, such as `/zones/{zone}/applications`.
    endpoint: String,
    /// The method; GET, or POST where there is a body.
    #[arg(short = 'X', long = "request", value_name = "METHOD")]
    method: Option<String>,
    /// The body, as JSON; `@FILE` for a file's content, `-` for standard input.
    #[arg(short = 'd', long = "data", value_name = "BODY")]
    body: Option<String>,
    /// What `{zone}` becomes; the first zone that the token sees without this.
    #[arg(long, value_name = "ID")]
    zone: Option<String>,
}

pub(in crate::cli) async fn run(
    args: AgentArgs,
    surroundings: &Surroundings,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let AgentCommand::Api(args) = args.command;
    let api = Api::find(surroundings, output).await?;
    let body = args.body.map(read_body).transpose()?;
    let method = match (&args.method, &body) {
        (Some(method), _) => Method::from_bytes(method.to_ascii_uppercase().as_bytes())
            .map_err(|_| Failure::new(Exit::Usage, format!("`{}` is no method", method.escape_debug())))?,
        (None, Some(_)) => Method::POST,
        (None, None) => Method::GET,
    };
    let path = match (args.endpoint.contains("{zone}"), args.zone) {
        (false, _) => args.endpoint,
        (true, Some(zone)) => args.endpoint.replace("{zone}", &zone),
        (true, None) => args.endpoint.replace("{zone}", &api.first_zone().await?),
    };
    let answer = api.send(method, &path, body).await?;
    if !answer.body().is_empty() {
        output.data(String::from_utf8_lossy(answer.body()));
    }
    if answer.status().is_client_error() || answer.status().is_server_error() {
        output.talk(format_args!("the zone answered {}", answer.status()));
        return Ok(Exit::Refused);
    }
    Ok(Exit::Done)
}

fn read_body(named: String) -> Result<Vec<u8>, Failure> {
    let unreadable = |error: &std::io::Error| {
        Failure::new(Exit::Usage, format!("the body `{}` can't be read", named.escape_debug())).caused_by(error)
    };
    if named == "-" {
        let mut body = Vec::new();
        std::io::stdin().lock().read_to_end(&mut body).map_err(|error| unreadable(&error))?;
        return Ok(body);
    }
    match named.strip_prefix('@') {
        Some(file) => std::fs::read(file).map_err(|error| unreadable(&error)),
        None => Ok(named.into_bytes()),
    }
}
