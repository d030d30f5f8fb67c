//! Puts a changed configuration and changed policies in force: whole, or not at all.

use std::ffi::OsString;
use std::sync::Arc;
use std::sync::PoisonError;

use crate::cli::Failure;
use crate::cli::config::policy_texts;
use crate::config;
use crate::config::Config;
use crate::daemon::authority;
use crate::daemon::parts;
use crate::daemon::parts::Parts;
use crate::resource::Resources;
use crate::tls::Change;

impl Parts {
    /// Reads everything anew. What is wrong is told and the running configuration stays as it is.
    pub(super) async fn reload(self: &Arc<Self>) -> Result<String, String> {
        let _turn = self.reloading.lock().await;
        let this = Arc::clone(self);
        let read = tokio::task::spawn_blocking(move || this.read()).await.map_err(|error| error.to_string())?;
        let outcome = match read {
            Ok((config, texts, secrets)) => self.put_in_force(config, &texts, secrets).await,
            Err(fault) => Err(fault),
        };
        match &outcome {
            Ok(summary) => tracing::info!(%summary, "reloaded"),
            Err(fault) => tracing::error!(%fault, "not reloaded: what ran before goes on"),
        }
        outcome
    }

    /// The policies alone: what most edits are.
    pub(super) async fn reload_policies(self: &Arc<Self>) {
        let _turn = self.reloading.lock().await;
        let this = Arc::clone(self);
        let read = tokio::task::spawn_blocking(move || {
            let config = this.config();
            let texts = policy_texts(&config, &this.surroundings.paths).map_err(|failure| failure.to_string())?;
            this.broker.policy.replace(&texts).map_err(|faults| faults.to_string())
        });
        let outcome = read.await.unwrap_or_else(|error| Err(error.to_string()));
        match &outcome {
            Ok(()) => {
                tracing::info!(policies = self.broker.policy.count(), hash = %self.broker.policy.hash(), "policies reloaded")
            }
            Err(fault) => tracing::error!(%fault, "the policies were not reloaded: those that were in force stay"),
        }
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner).policy_error = outcome.err();
    }

    /// The configuration in force.
    pub(super) fn config(&self) -> Config {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner).config.clone()
    }

    #[allow(clippy::type_complexity, reason = "three things that were read together and are used at once")]
    fn read(&self) -> Result<(Config, Vec<crate::policy::PolicyText>, crate::credential::Secrets), String> {
        let environment = &self.surroundings.environment;
        let read = |name: &str| environment.get(name).map(OsString::from);
        let config = config::open(&self.place, &read).map_err(|faults| {
            let fault = faults.to_string();
            self.note(Some(fault.clone()), None);
            fault
        })?;
        let told = |failure: Failure| failure.to_string();
        let texts = policy_texts(&config, &self.surroundings.paths).map_err(told)?;
        let secrets = parts::read_secrets(&config, &self.surroundings).map_err(told)?;
        Ok((config, texts, secrets))
    }

    async fn put_in_force(
        &self,
        config: Config,
        texts: &[crate::policy::PolicyText],
        secrets: crate::credential::Secrets,
    ) -> Result<String, String> {
        let all = parts::all_resources(&config, self.whoami.as_ref());
        let hosts = parts::hosts_of(&all);
        // What can fail comes first; after it nothing does.
        let (certificates, roots) = (Arc::clone(&self.certificates), self.roots.clone());
        let ensured = tokio::task::spawn_blocking(move || match certificates.ensure(&hosts)? {
            Change::None => Ok(()),
            Change::Generations => certificates.write_bundle(&roots).map(|_| ()),
        });
        let told = |fault: String| {
            self.note(Some(fault.clone()), None);
            fault
        };
        ensured.await.map_err(|error| told(error.to_string()))?.map_err(|error| told(error.to_string()))?;
        if let Some(zone) = &self.zone {
            zone.declare(authority::declared(&all)).await.map_err(|error| told(error.to_string()))?;
        }
        self.broker.policy.replace(texts).map_err(|faults| {
            self.note(None, Some(faults.to_string()));
            faults.to_string()
        })?;
        let resources = Resources::new(all);
        self.broker.upstream.prepare(resources.iter());
        self.broker.vault.replace_secrets(secrets);
        self.broker.unlisted.store(Arc::new(parts::unlisted(&config)));
        self.broker.resources.store(Arc::new(resources));
        let restart = self.needs_restart(&config);
        let summary = format!(
            "{} resources, {} policies{}",
            config.resources.len(),
            self.broker.policy.count(),
            if restart { "; changes of listeners, zone, audit or upstream proxy wait for a restart" } else { "" }
        );
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        (loaded.config, loaded.at) = (config, self.clock.now());
        (loaded.config_error, loaded.policy_error) = (None, None);
        Ok(summary)
    }

    fn note(&self, config_error: Option<String>, policy_error: Option<String>) {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        loaded.config_error = config_error.or(loaded.config_error.take());
        loaded.policy_error = policy_error.or(loaded.policy_error.take());
    }

    /// What is bound or opened once and can't be changed under way.
    fn needs_restart(&self, config: &Config) -> bool {
        let running = self.config();
        running.proxy.listen != config.proxy.listen
            || running.proxy.upstream != config.proxy.upstream
            || running.proxy.unidentified != config.proxy.unidentified
            || running.zone != config.zone
            || running.whoami != config.whoami
            || running.audit != config.audit
    }
}
