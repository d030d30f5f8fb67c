//! What the control socket asks of the daemon.

use std::sync::Arc;
use std::sync::PoisonError;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::agent::Caller;
use crate::agent::Ending;
use crate::agent::Opening;
use crate::agent::Session;
use crate::config;
use crate::control::Backend;
use crate::control::CertificateStatus;
use crate::control::ConfigurationStatus;
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
use crate::credential::SecretSource;
use crate::daemon::parts::Parts;
use crate::model::SessionId;
use crate::proxy::Entrance;
use crate::tls;
use crate::tls::AgentProxy;

/// The daemon, as commands see it.
pub(super) struct Control {
    parts: Arc<Parts>,
    /// Someone asked the daemon to stop.
    asked: CancellationToken,
}

impl Control {
    pub(super) fn new(parts: Arc<Parts>, asked: CancellationToken) -> Self {
        Self { parts, asked }
    }

    /// Variables that hold a secret of the configuration: an agent started from the same shell must not inherit them.
    fn secret_variables(&self) -> Vec<String> {
        let loaded = self.parts.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let variable = |source: &SecretSource| match source {
            SecretSource::Environment(name) => Some(name.clone()),
            SecretSource::File(_) | SecretSource::Keychain { .. } => None,
        };
        loaded.config.secrets.values().filter_map(variable).collect()
    }

    /// The session's own port, and the task that cleans up behind the session however it ends.
    fn attend(&self, session: &Arc<Session>, listener: TcpListener, port: u16) {
        let parts = Arc::clone(&self.parts);
        parts.broker.upstream.dialer().own(port);
        let ended = session.ended().clone();
        let listening =
            Arc::clone(&parts.proxy).listen(listener, Entrance::Session(Arc::clone(session)), None, ended.clone());
        let session = Arc::clone(session);
        self.parts.attendants.spawn(async move {
            listening.await;
            ended.cancelled().await;
            parts.broker.vault.end_session(session.id());
            parts.broker.upstream.end_session(&session);
            parts.broker.upstream.dialer().disown(port);
        });
    }
}

impl Backend for Control {
    async fn open_session(&self, wish: SessionWish) -> Result<SessionOpened, Problem> {
        let parts = &self.parts;
        let internal = |error: std::io::Error| Problem::new(ProblemKind::Internal, "no-listener", error.to_string());
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(internal)?;
        let port = listener.local_addr().map_err(internal)?.port();
        let shared =
            parts.listening.first().ok_or_else(|| Problem::new(ProblemKind::Internal, "no-listener", "no port"))?;
        let opening = Opening {
            agent: wish.agent,
            user: wish.user.unwrap_or_else(|| parts.user.clone()),
            caller: Caller { pid: wish.pid, program: wish.program },
        };
        let opened = parts.broker.agents.open(opening).map_err(|error| {
            Problem::new(ProblemKind::Busy, "session-not-opened", error.to_string()).hint("valetkey sessions")
        })?;
        let session = opened.session;
        self.attend(&session, listener, port);
        let secret = opened.secret.expose_str().unwrap_or_default();
        let proxy_url = format!("http://{}:{secret}@{shared}", session.id());
        let inherited = |name: &str| wish.inherited.get(name).map(std::ffi::OsString::from);
        let environment =
            tls::agent_environment(AgentProxy { url: &proxy_url, own_port: Some(port) }, &parts.files, inherited);
        Ok(SessionOpened {
            session: session.id().clone(),
            agent: session.agent().clone(),
            user: session.user().clone(),
            listener_url: format!("http://127.0.0.1:{port}"),
            environment: environment
                .set
                .into_iter()
                .filter_map(|(name, value)| Some((name, value.into_string().ok()?)))
                .collect(),
            unset: environment.unset.into_iter().map(str::to_owned).chain(self.secret_variables()).collect(),
            ended: session.ended().clone(),
            proxy_url,
        })
    }

    fn end_session(&self, id: &SessionId) -> bool {
        self.parts.broker.agents.end(id, Ending::Closed).is_some()
    }

    fn status(&self) -> Status {
        let parts = &self.parts;
        let now = parts.clock.now();
        let loaded = parts.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let healthy = parts.broker.ledger.healthy();
        let in_force = parts.broker.in_force.load();
        Status {
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: parts.started_at,
            uptime_s: now.since(parts.started_at).as_secs(),
            user: parts.user.clone(),
            listening: parts.listening.clone(),
            sessions: parts.broker.agents.count(),
            zone: ZoneStatus {
                issuer: parts.issuer.clone(),
                health: Health::Well,
                detail: match &loaded.config.zone {
                    config::Zone::Embedded { .. } => format!("embedded, signed in as {}", parts.user),
                    config::Zone::Remote(_) => "remote".to_owned(),
                },
            },
            configuration: ConfigurationStatus {
                file: loaded.config.source.clone(),
                loaded_at: loaded.at,
                resources: loaded.config.resources.len(),
                last_error: loaded.config_error.clone(),
                restart_needed: parts.needs_restart(&loaded.config),
            },
            policies: PolicyStatus {
                count: in_force.policies.count(),
                hash: in_force.policies.hash().to_string(),
                last_error: loaded.policy_error.clone(),
            },
            ledger: LedgerStatus {
                health: if healthy { Health::Well } else { Health::Failing },
                folder: parts
                    .started_with
                    .audit
                    .folder
                    .clone()
                    .unwrap_or_else(|| parts.surroundings.paths.audit_folder()),
                last_error: (!healthy).then(|| "the last line could not be written; requests are refused".to_owned()),
            },
            certificates: CertificateStatus {
                bundle: parts.bundle.merged.clone(),
                leaves: parts.certificates.leaves(),
            },
        }
    }

    fn sessions(&self) -> Vec<SessionSummary> {
        let summary = |session: Arc<Session>| SessionSummary {
            session: session.id().clone(),
            agent: session.agent().clone(),
            user: session.user().clone(),
            opened_at: session.opened_at(),
            pid: session.caller().pid,
            program: session.caller().program.clone(),
        };
        self.parts.broker.agents.list().into_iter().map(summary).collect()
    }

    async fn reload(&self) -> Result<String, Problem> {
        self.parts.reload().await.map_err(|fault| {
            Problem::new(ProblemKind::Configuration, "not-reloaded", fault).hint("valetkey config check")
        })
    }

    fn stop(&self) {
        self.asked.cancel();
    }
}
