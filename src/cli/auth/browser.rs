//! The person's browser: opened at an address, and awaited at one of our own (RFC 8252 §7.3).

use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use url::Url;

use crate::cli::Exit;
use crate::cli::Failure;
use crate::cli::Output;
use crate::cli::Surroundings;

/// A listener on a free port of this machine, where the browser brings the answer.
pub(super) struct Callback {
    listener: TcpListener,
    pub(super) redirect_uri: String,
}

/// What the browser brought.
pub(super) struct Brought(Vec<(String, String)>);

impl Brought {
    /// A parameter that came once.
    pub(super) fn one(&self, name: &str) -> Option<&str> {
        let mut found = self.0.iter().filter(|(sent, _)| sent == name).map(|(_, value)| value.as_str());
        let value = found.next();
        if found.next().is_some() { None } else { value }
    }
}

impl Callback {
    pub(super) async fn open() -> Result<Self, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let opened = listener.and_then(|listener| Ok((listener.local_addr()?, listener)));
        let (address, listener) = opened
            .map_err(|error| Failure::new(Exit::Refused, "there is no port to be answered at").caused_by(&error))?;
        Ok(Self { listener, redirect_uri: format!("http://{address}/callback") })
    }

    /// Waits for the answer that carries `state`. Whatever else calls here is turned away.
    pub(super) async fn answer(&self, state: &str) -> Result<Brought, Failure> {
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                let Ok((stream, _)) = self.listener.accept().await else { continue };
                let heard = tokio::time::timeout(REQUEST_TIMEOUT, hear(stream, state)).await;
                if let Ok(Some(brought)) = heard {
                    return brought;
                }
            }
        });
        waited.await.map_err(|_| {
            Failure::new(Exit::Refused, "nobody answered in the browser")
                .hint("run the command again, or with `--device`")
        })
    }
}

/// Reads one request and thanks for it; none when it is not the awaited one.
async fn hear(mut stream: TcpStream, state: &str) -> Option<Brought> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") && head.len() < HEAD_BYTES_MAX {
        if stream.read_buf(&mut head).await.ok()? == 0 {
            break;
        }
    }
    let head = String::from_utf8_lossy(&head);
    let target = head.strip_prefix("GET ").and_then(|rest| rest.split(' ').next()).unwrap_or_default();
    let url = Url::parse("http://127.0.0.1").ok()?.join(target).ok()?;
    let brought = Brought(url.query_pairs().into_owned().collect());
    let awaited = url.path() == "/callback" && brought.one("state") == Some(state);
    let (status, text) = match (awaited, brought.one("error")) {
        (false, _) => ("404 Not Found", "This is not what valetkey waits for."),
        (true, None) => ("200 OK", "Done. You can close this page and go back to the terminal."),
        (true, Some(_)) => ("200 OK", "The zone said no. Go back to the terminal to read why."),
    };
    let body = format!("<!DOCTYPE html><html lang=\"en\"><title>valetkey</title><p>{text}</p></html>");
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {}\r\nconnection: close\r\n\
         content-security-policy: default-src 'none'; frame-ancestors 'none'\r\nreferrer-policy: no-referrer\r\n\
         cache-control: no-store\r\n\r\n{body}",
        body.len()
    );
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
    awaited.then_some(brought)
}

/// Opens the address in the person's browser, and says it for whoever has none here.
pub(super) fn show(url: &str, surroundings: &Surroundings, output: &mut Output) {
    output.talk("opening your browser; if none opens, go to:");
    output.talk(format_args!("  {url}"));
    let usual = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let program = surroundings.environment.text("BROWSER").filter(|named| !named.is_empty()).unwrap_or(usual);
    let spawned = std::process::Command::new(program)
        .arg(url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    if let Ok(mut child) = spawned {
        // It may stay as long as the browser does; nobody waits for it but this thread.
        let _ = std::thread::Builder::new().name("browser".to_owned()).spawn(move || child.wait());
    }
}

/// How long a person may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// A request on loopback is there at once.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// A code and its state are far shorter.
const HEAD_BYTES_MAX: usize = 16 * 1024;
