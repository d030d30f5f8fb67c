//! Both sides of the control socket, over a real one.

use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;

use crate::control::CallFailed;
use crate::control::ProblemKind;
use crate::control::SessionWish;
use crate::control::fake::FakeDaemon;
use crate::model::AgentName;
use crate::model::SessionId;

fn wish(agent: &str) -> SessionWish {
    SessionWish {
        agent: AgentName::parse(agent).unwrap(),
        user: None,
        pid: Some(1),
        program: Some("/bin/x".into()),
        inherited: Default::default(),
    }
}

async fn raw(daemon: &FakeDaemon, request: &str) -> String {
    let mut stream = UnixStream::connect(&daemon.socket).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn a_session_lives_as_long_as_the_connection_that_opened_it() {
    let daemon = FakeDaemon::start();
    let held = daemon.client.open_session(&wish("curl")).await.unwrap();
    assert!(held.opened().proxy_url.contains("hunter2"));
    assert_eq!(held.opened().unset, ["SSL_CERT_DIR"]);
    let listed = daemon.client.sessions().await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].session, held.opened().session);
    assert_eq!(listed[0].pid, Some(std::process::id()), "the kernel's word, not the caller's");
    assert_eq!(daemon.client.status().await.unwrap().sessions, 1);
    drop(held);
    daemon.sessions_are(0).await;
}

#[tokio::test]
async fn a_caller_that_is_killed_before_it_reads_the_answer_leaves_no_session() {
    let daemon = FakeDaemon::start();
    let body = serde_json::to_string(&wish("curl")).unwrap();
    let mut stream = UnixStream::connect(&daemon.socket).await.unwrap();
    let request = format!("POST /sessions HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).await.unwrap();
    daemon.sessions_are(1).await;
    drop(stream);
    daemon.sessions_are(0).await;
}

#[tokio::test]
async fn who_runs_in_a_session_notices_that_it_was_ended() {
    let daemon = FakeDaemon::start();
    let mut held = daemon.client.open_session(&wish("curl")).await.unwrap();
    let id = held.opened().session.clone();
    daemon.client.end_session(&id).await.unwrap();
    held.ended().await;
    let Err(CallFailed::Problem(problem)) = daemon.client.end_session(&id).await else { panic!("it ended twice") };
    assert_eq!((problem.kind, problem.code.as_str()), (ProblemKind::Missing, "session_unknown"));
}

#[tokio::test]
async fn when_the_daemon_stops_its_sessions_end_and_its_socket_is_gone() {
    let daemon = FakeDaemon::start();
    let mut held = daemon.client.open_session(&wish("curl")).await.unwrap();
    daemon.client.stop().await.unwrap();
    held.ended().await;
    daemon.serving.await.unwrap();
    assert!(!daemon.socket.exists());
    assert!(matches!(daemon.client.status().await, Err(CallFailed::DaemonDown { .. })));
    assert!(daemon.backend.wishes.lock().unwrap().len() == 1);
}

#[tokio::test]
async fn a_refusal_arrives_with_its_words() {
    let daemon = FakeDaemon::start();
    let Err(CallFailed::Problem(problem)) = daemon.client.open_session(&wish("forbidden")).await else {
        panic!("a session was opened")
    };
    assert_eq!(problem.kind, ProblemKind::Refused);
    assert_eq!(problem.hint.as_deref(), Some("choose another name with `--agent`"));
}

#[tokio::test]
async fn a_reload_says_what_is_in_force() {
    let daemon = FakeDaemon::start();
    assert_eq!(daemon.client.reload().await.unwrap(), "2 resources, 1 policy");
}

#[tokio::test]
async fn foreign_requests_are_answered_with_a_problem() {
    let daemon = FakeDaemon::start();
    let too_large = "x".repeat(crate::limits::CONTROL_REQUEST_BYTES_MAX + 1);
    let post = |body: &str| {
        let length = body.len();
        format!("POST /sessions HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}")
    };
    let plain = |line: &str| format!("{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    for (request, status, code) in [
        (post("not json"), "400", "request_invalid"),
        (post("{\"agent\":\"a b\"}"), "400", "request_invalid"),
        (post("{}"), "400", "request_invalid"),
        (post(&too_large), "400", "request_invalid"),
        (plain("GET /"), "404", "not_found"),
        (plain("PUT /status"), "404", "method_not_allowed"),
        (plain("DELETE /sessions/ses_%0a"), "400", "session_id_invalid"),
        (plain("DELETE /sessions/ses_1"), "404", "session_unknown"),
    ] {
        let answer = raw(&daemon, &request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        assert!(answer.contains(code), "{answer}");
    }
    assert!(raw(&daemon, "\x16\x03\x01 nonsense\r\n\r\n").await.starts_with("HTTP/1.1 400"));
    daemon.sessions_are(0).await;
    daemon.stop.cancel();
}

#[tokio::test]
async fn an_open_session_shows_no_secret_when_it_is_printed() {
    let daemon = FakeDaemon::start();
    let held = daemon.client.open_session(&wish("curl")).await.unwrap();
    assert!(!format!("{:?}", held.opened()).contains("hunter2"));
    let unknown = SessionId::parse("ses_other").unwrap();
    assert!(daemon.client.end_session(&unknown).await.is_err());
    assert!(daemon.home.path().exists());
}

#[tokio::test]
async fn without_a_daemon_the_call_says_so() {
    let client = crate::control::Client::new("/nonexistent/control.sock");
    let failed = client.status().await.unwrap_err();
    assert!(matches!(failed, CallFailed::DaemonDown { .. }));
    assert_eq!(failed.to_string(), "the daemon is not running");
}
