//! What an upstream answers, by path.

use std::collections::HashMap;
use std::io;
use std::process::Stdio;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::HeaderMap;
use hyper::Request;
use hyper::Response;
use hyper::body::Frame;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::Remembered;
use super::body_of;
use super::full;
use super::upstream::Memory;

/// Every body of this house.
pub type Body = UnsyncBoxBody<Bytes, io::Error>;

/// Remembers the request and answers it.
pub async fn answer(
    memory: Arc<Memory>,
    connection: usize,
    request: Request<Incoming>,
) -> Result<Response<Body>, io::Error> {
    let index = remember(&memory, connection, &request);
    let query = query(request.uri().query().unwrap_or_default());
    let number = |name: &str| query.get(name).and_then(|text| text.parse::<usize>().ok()).unwrap_or(0);
    let path = request.uri().path().to_owned();
    if let Some((content_type, bytes)) = memory.pages.lock().unwrap().get(&path) {
        return Ok(typed(content_type, bytes.clone()));
    }
    match path.as_str() {
        "/bytes" => Ok(Response::new(full(vec![b'x'; number("n")]))),
        "/upload" => upload(&memory, index, request).await,
        "/sse" => Ok(sse(memory, number("n"))),
        "/ws" => Ok(websocket(request)),
        "/grpc" => Ok(grpc(request).await),
        "/once-unauthorized" => Ok(once_unauthorized(&memory, index, request).await),
        "/slow" => {
            memory.gate.acquire().await.unwrap().forget();
            Ok(Response::new(full("at last")))
        }
        "/redirect" => Ok(with(302, &[("location", "https://elsewhere.example.test/taken")])),
        "/cookies" => Ok(with(
            200,
            &[
                ("set-cookie", "session=abc; Path=/"),
                ("set-cookie", "other=def"),
                ("alt-svc", "h3=\":443\"; ma=86400"),
                ("vary", "authorization"),
            ],
        )),
        "/cut" => Ok(cut(true)),
        "/cut-stream" => Ok(cut(false)),
        _ if path.starts_with("/git/") => git(&memory, request).await,
        _ if path.starts_with("/status/") => Ok(with(path[8..].parse().unwrap_or(400), &[])),
        _ => Ok(echo(&memory, index)),
    }
}

fn remember(memory: &Memory, connection: usize, request: &Request<Incoming>) -> usize {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers: Vec<(String, String)> =
        request.headers().iter().map(|(name, value)| (name.to_string(), text(value.as_bytes()))).collect();
    let host = headers.iter().find(|(name, _)| name == "host").map(|(_, value)| value.clone());
    let uri = request.uri();
    let mut requests = memory.requests.lock().unwrap();
    requests.push(Remembered {
        method: request.method().to_string(),
        target: uri.path_and_query().map_or_else(|| uri.to_string(), ToString::to_string),
        authority: uri.authority().map(ToString::to_string).or(host).unwrap_or_default(),
        version: request.version(),
        headers,
        connection,
        body_bytes: 0,
    });
    requests.len() - 1
}

fn query(text: &str) -> HashMap<String, String> {
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn typed(content_type: &str, bytes: impl Into<Bytes>) -> Response<Body> {
    Response::builder().header("content-type", content_type).body(full(bytes)).unwrap()
}

fn with(status: u16, fields: &[(&str, &str)]) -> Response<Body> {
    let response = Response::builder().status(status);
    let response = fields.iter().fold(response, |response, &(name, value)| response.header(name, value));
    response.body(full(Bytes::new())).unwrap()
}

fn echo(memory: &Memory, index: usize) -> Response<Body> {
    let request = memory.requests.lock().unwrap()[index].clone();
    let headers = request.headers.iter().map(|(name, value)| json!([name, value])).collect::<Vec<_>>();
    let seen = json!({ "method": request.method, "target": request.target, "authority": request.authority, "headers": headers });
    typed("application/json", seen.to_string())
}

async fn upload(memory: &Memory, index: usize, request: Request<Incoming>) -> Result<Response<Body>, io::Error> {
    let mut hash = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    let mut body = request.into_body();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(io::Error::other)?;
        if let Some(bytes) = frame.data_ref() {
            hash.update(bytes);
            memory.requests.lock().unwrap()[index].body_bytes += bytes.len() as u64;
        }
        if let Some(trailers) = frame.trailers_ref() {
            let fields = trailers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
            memory.requests.lock().unwrap()[index].headers.extend(fields);
        }
    }
    let bytes = memory.requests.lock().unwrap()[index].body_bytes;
    let sha256 = hash.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    Ok(typed("application/json", json!({ "bytes": bytes, "sha256": sha256 }).to_string()))
}

fn sse(memory: Arc<Memory>, count: usize) -> Response<Body> {
    let events = futures_util::stream::unfold(0, move |sent| {
        let memory = Arc::clone(&memory);
        async move {
            if sent == count {
                return None;
            }
            memory.gate.acquire().await.unwrap().forget();
            Some((Ok(Frame::data(Bytes::from(format!("data: {sent}\n\n")))), sent + 1))
        }
    });
    let mut response = Response::new(body_of(events));
    response.headers_mut().insert("content-type", "text/event-stream".parse().unwrap());
    response
}

fn websocket(mut request: Request<Incoming>) -> Response<Body> {
    let Some(key) = request.headers().get("sec-websocket-key") else { return with(426, &[("upgrade", "websocket")]) };
    let accept = derive_accept_key(key.as_bytes());
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let Ok(upgraded) = upgrade.await else { return };
        let mut socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
        while let Some(Ok(message)) = socket.next().await {
            if message.is_close() {
                return;
            }
            if (message.is_text() || message.is_binary())
                && futures_util::SinkExt::send(&mut socket, message).await.is_err()
            {
                return;
            }
        }
    });
    with(101, &[("connection", "upgrade"), ("upgrade", "websocket"), ("sec-websocket-accept", &accept)])
}

async fn grpc(request: Request<Incoming>) -> Response<Body> {
    let message = request.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().unwrap());
    trailers.insert("grpc-message", "done".parse().unwrap());
    let parts = [Ok(Frame::data(message)), Ok(Frame::trailers(trailers))];
    let mut response = Response::new(body_of(futures_util::stream::iter(parts)));
    response.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
    response
}

async fn once_unauthorized(memory: &Memory, index: usize, request: Request<Incoming>) -> Response<Body> {
    let token = request.headers().get("authorization").map(|value| value.to_str().unwrap().to_owned());
    let body = request.into_body().collect().await.unwrap().to_bytes();
    memory.requests.lock().unwrap()[index].body_bytes = body.len() as u64;
    let token = token.unwrap_or_default();
    // The first token that comes is refused for ever, every other one is good.
    if memory.refused_token.lock().unwrap().get_or_insert_with(|| token.clone()) == &token {
        return with(401, &[("www-authenticate", "Bearer error=\"invalid_token\"")]);
    }
    Response::new(full(body))
}

/// Breaks off in the middle of a body, whose length was `told` or is not known.
fn cut(told: bool) -> Response<Body> {
    let parts = [Ok(Frame::data(Bytes::from_static(b"half of"))), Err(io::Error::other("cut"))];
    // The pause lets the first half leave before the connection breaks.
    let parts = futures_util::stream::iter(parts).then(|part| async {
        tokio::task::yield_now().await;
        part
    });
    let mut response = Response::new(body_of(parts));
    if told {
        response.headers_mut().insert("content-length", "14".parse().unwrap());
    }
    response
}

async fn git(memory: &Memory, request: Request<Incoming>) -> Result<Response<Body>, io::Error> {
    let root = memory.git_root.lock().unwrap().clone().unwrap();
    let field = |name: &str| request.headers().get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
    let mut child = tokio::process::Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", request.uri().path().trim_start_matches("/git"))
        .env("QUERY_STRING", request.uri().query().unwrap_or_default())
        .env("REQUEST_METHOD", request.method().as_str())
        .env("CONTENT_TYPE", field("content-type"))
        .env("HTTP_CONTENT_ENCODING", field("content-encoding"))
        .env("GIT_PROTOCOL", field("git-protocol"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let body = request.into_body().collect().await.map_err(io::Error::other)?.to_bytes();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&body).await?;
    drop(stdin);
    let output = child.wait_with_output().await?.stdout;
    let end = output.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let mut response = Response::builder();
    for (name, value) in String::from_utf8_lossy(&output[..end]).lines().filter_map(|line| line.split_once(": ")) {
        response = match name {
            "Status" => response.status(&value[..3]),
            _ => response.header(name, value),
        };
    }
    Ok(response.body(full(output[end + 4..].to_vec())).unwrap())
}
