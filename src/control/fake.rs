//! A daemon without a broker, for the tests of both sides of the control socket.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::control::Backend;
use crate::control::CertificateStatus;
use crate::control::Client;
use crate::control::ConfigurationStatus;
use crate::control::ControlListener;
use crate::control::Health;
use crate::control::LedgerStatus;
use crate::control::PolicyStatus;
use crate::control::Problem;
use crate::control::ProblemKind;
use crate::control::SessionOpened;
use crate::control::SessionSummary;
use crate::control::SessionWish;
use crate::control::Status;
use crate::control::ZoneStatus;
use crate::control::serve;
use crate::model::SessionId;
use crate::model::Timestamp;
use crate::model::UserName;

/// Remembers what it was asked.
pub(crate) struct FakeBackend {
    pub(crate) wishes: Mutex<Vec<SessionWish>>,
    open: Mutex<Vec<(SessionSummary, CancellationToken)>>,
    open_count: watch::Sender<usize>,
    stop: CancellationToken,
}

/// The fake behind a real socket.
pub(crate) struct FakeDaemon {
    pub(crate) backend: Arc<FakeBackend>,
    pub(crate) client: Client,
    pub(crate) socket: PathBuf,
    pub(crate) stop: CancellationToken,
    pub(crate) serving: JoinHandle<()>,
    pub(crate) home: tempfile::TempDir,
}

impl FakeDaemon {
    pub(crate) fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let socket = home.path().join("run/control.sock");
        let stop = CancellationToken::new();
        let backend = Arc::new(FakeBackend {
            wishes: Mutex::default(),
            open: Mutex::default(),
            open_count: watch::Sender::new(0),
            stop: stop.clone(),
        });
        let listener = ControlListener::bind(&socket).unwrap();
        let serving = tokio::spawn(serve(listener, backend.clone(), stop.clone()));
        Self { backend, client: Client::new(&socket), socket, stop, serving, home }
    }

    /// Waits until so many sessions are open.
    pub(crate) async fn sessions_are(&self, count: usize) {
        let mut open = self.backend.open_count.subscribe();
        let wait = open.wait_for(|open| *open == count);
        tokio::time::timeout(std::time::Duration::from_secs(10), wait).await.expect("in time").unwrap();
    }
}

impl FakeBackend {
    fn changed(&self, open: usize) {
        self.open_count.send_replace(open);
    }
}

impl Backend for FakeBackend {
    async fn open_session(&self, wish: SessionWish) -> Result<SessionOpened, Problem> {
        if wish.agent.as_str() == "forbidden" {
            let problem = Problem::new(ProblemKind::Refused, "agent_refused", "this agent is not served");
            return Err(problem.hint("choose another name with `--agent`"));
        }
        let mut open = self.open.lock().unwrap();
        let session = SessionId::from_random(crate::os::random::bytes());
        let user = wish.user.clone().unwrap_or_else(|| UserName::parse("ada").unwrap());
        let ended = CancellationToken::new();
        let summary = SessionSummary {
            session: session.clone(),
            agent: wish.agent.clone(),
            user: user.clone(),
            opened_at: Timestamp::from_seconds(1_800_000_000),
            pid: wish.pid,
            program: wish.program.clone(),
        };
        open.push((summary, ended.clone()));
        self.changed(open.len());
        self.wishes.lock().unwrap().push(wish.clone());
        Ok(SessionOpened {
            proxy_url: format!("http://{session}:hunter2@127.0.0.1:7979"),
            listener_url: "http://127.0.0.1:40001".into(),
            environment: vec![("HTTPS_PROXY".into(), format!("http://{session}:hunter2@127.0.0.1:7979"))],
            unset: vec!["SSL_CERT_DIR".into()],
            session,
            agent: wish.agent,
            user,
            ended,
        })
    }

    fn end_session(&self, id: &SessionId) -> bool {
        let mut open = self.open.lock().unwrap();
        let Some(place) = open.iter().position(|(summary, _)| summary.session == *id) else { return false };
        let (_, ended) = open.remove(place);
        ended.cancel();
        self.changed(open.len());
        true
    }

    fn status(&self) -> Status {
        status(self.open.lock().unwrap().len())
    }

    fn sessions(&self) -> Vec<SessionSummary> {
        self.open.lock().unwrap().iter().map(|(summary, _)| summary.clone()).collect()
    }

    async fn reload(&self) -> Result<String, Problem> {
        Ok("2 resources, 1 policy".into())
    }

    fn stop(&self) {
        self.stop.cancel();
    }
}

/// A daemon that is well.
pub(crate) fn status(sessions: usize) -> Status {
    Status {
        pid: std::process::id(),
        version: "0.1.0".into(),
        started_at: Timestamp::from_seconds(1_800_000_000),
        uptime_s: 3_725,
        user: UserName::parse("ada").unwrap(),
        listening: vec!["127.0.0.1:7979".parse().unwrap()],
        sessions,
        zone: ZoneStatus { issuer: "http://127.0.0.1:7980".into(), health: Health::Well, detail: "embedded".into() },
        configuration: ConfigurationStatus {
            file: None,
            loaded_at: Timestamp::from_seconds(1_800_000_000),
            resources: 1,
            restart_needed: false,
            last_error: None,
        },
        policies: PolicyStatus { count: 1, hash: "sha256:00".into(), last_error: None },
        ledger: LedgerStatus { health: Health::Well, folder: "/h/audit".into(), last_error: None },
        certificates: CertificateStatus { bundle: "/h/ca/bundle.pem".into(), leaves: 2 },
    }
}
