//! Puts a changed configuration and changed policies in force: whole, or not at all.

use std::ffi::OsString;
use std::sync::Arc;
use std::sync::PoisonError;

use crate::broker::InForce;
use crate::cli::Failure;
use crate::cli::config::policy_texts;
use crate::config;
use crate::config::Config;
use crate::credential::Secrets;
use crate::daemon::authority;
use crate::daemon::parts;
use crate::daemon::parts::Parts;
use crate::policy::PolicySet;
use crate::resource::Resource;
use crate::resource::Resources;
use crate::tls::Change;

/// What was read, all of it without fault.
struct Fresh {
    config: Config,
    policies: PolicySet,
    secrets: Secrets,
}

/// Which file keeps the new state from being taken, and why.
enum Fault {
    Configuration(String),
    Policies(String),
}

impl Parts {
    /// Reads everything anew. What is wrong is told and the running state stays as it is.
    pub(super) async fn reload(self: &Arc<Self>) -> Result<String, String> {
        let _turn = self.reloading.lock().await;
        let outcome = match self.read().await {
            Ok(fresh) => self.put_in_force(fresh).await,
            Err(fault) => Err(fault),
        };
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Ok(summary) => {
                (loaded.config_error, loaded.policy_error) = (None, None);
                tracing::info!(%summary, "reloaded");
                Ok(summary)
            }
            Err(fault) => {
                let (place, fault) = match fault {
                    Fault::Configuration(fault) => (&mut loaded.config_error, fault),
                    Fault::Policies(fault) => (&mut loaded.policy_error, fault),
                };
                *place = Some(fault.clone());
                tracing::error!(%fault, "not reloaded: what ran before goes on");
                Err(fault)
            }
        }
    }

    /// The policies alone: what most edits are.
    pub(super) async fn reload_policies(self: &Arc<Self>) {
        let _turn = self.reloading.lock().await;
        let this = Arc::clone(self);
        let read = tokio::task::spawn_blocking(move || this.read_policies(&this.config()));
        let outcome = read.await.unwrap_or_else(|error| Err(error.to_string()));
        let outcome = outcome.map(|policies| {
            tracing::info!(policies = policies.count(), hash = %policies.hash(), "policies reloaded");
            let InForce { resources, secrets, unlisted, .. } = &**self.broker.in_force.load();
            parts::warn_of_strangers(&policies, resources);
            self.broker.in_force.store(Arc::new(InForce {
                resources: Arc::clone(resources),
                policies: Arc::new(policies),
                secrets: Arc::clone(secrets),
                unlisted: unlisted.clone(),
            }));
        });
        if let Err(fault) = &outcome {
            tracing::error!(%fault, "the policies were not reloaded: those that were in force stay");
        }
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner).policy_error = outcome.err();
    }

    /// The configuration in force.
    pub(super) fn config(&self) -> Config {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner).config.clone()
    }

    async fn read(self: &Arc<Self>) -> Result<Fresh, Fault> {
        let this = Arc::clone(self);
        let read = tokio::task::spawn_blocking(move || {
            let environment = &this.surroundings.environment;
            let variable = |name: &str| environment.get(name).map(OsString::from);
            let config =
                config::open(&this.place, &variable).map_err(|faults| Fault::Configuration(faults.to_string()))?;
            let told = |failure: Failure| Fault::Configuration(failure.to_string());
            let secrets = parts::read_secrets(&config, &this.surroundings).map_err(told)?;
            let policies = this.read_policies(&config).map_err(Fault::Policies)?;
            Ok(Fresh { config, policies, secrets })
        });
        read.await.unwrap_or_else(|error| Err(Fault::Configuration(error.to_string())))
    }

    fn read_policies(&self, config: &Config) -> Result<PolicySet, String> {
        let texts = policy_texts(config, &self.surroundings.paths).map_err(|failure| failure.to_string())?;
        PolicySet::parse(&texts).map_err(|faults| faults.to_string())
    }

    /// What can fail comes first and only adds; then everything changes at once.
    async fn put_in_force(&self, fresh: Fresh) -> Result<String, Fault> {
        let Fresh { config, policies, secrets } = fresh;
        let all = parts::all_resources(&config, self.whoami.as_ref());
        self.prepare(&all).await.map_err(Fault::Configuration)?;
        let (resources, secrets) = (Arc::new(Resources::new(all)), Arc::new(secrets));
        self.broker.upstream.prepare(resources.iter());
        parts::warn_of_strangers(&policies, &resources);
        let count = policies.count();
        self.broker.in_force.store(Arc::new(InForce {
            resources,
            policies: Arc::new(policies),
            secrets: Arc::clone(&secrets),
            unlisted: parts::unlisted(&config),
        }));
        self.broker.vault.forget_before(&secrets);
        let restart = if self.needs_restart(&config) {
            "; changes of listeners, zone, audit or upstream proxy wait for a restart"
        } else {
            ""
        };
        let summary = format!("{} resources, {count} policies{restart}", config.resources.len());
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        (loaded.config, loaded.at) = (config, self.clock.now());
        Ok(summary)
    }

    /// Certificates for the new hosts, and the new resources at the embedded zone.
    async fn prepare(&self, all: &[Arc<Resource>]) -> Result<(), String> {
        let hosts = parts::hosts_of(all);
        let (certificates, roots) = (Arc::clone(&self.certificates), self.roots.clone());
        let ensured = tokio::task::spawn_blocking(move || match certificates.ensure(&hosts)? {
            Change::None => Ok(()),
            Change::Generations => certificates.write_bundle(&roots).map(|_| ()),
        });
        ensured.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        match &self.zone {
            Some(zone) => zone.declare(authority::declared(all)).await.map_err(|error| error.to_string()),
            None => Ok(()),
        }
    }

    /// What is bound or opened once and can't be changed under way.
    pub(super) fn needs_restart(&self, config: &Config) -> bool {
        let running = &self.started_with;
        running.proxy.listen != config.proxy.listen
            || running.proxy.upstream != config.proxy.upstream
            || running.proxy.unidentified != config.proxy.unidentified
            || running.zone != config.zone
            || running.whoami != config.whoami
            || running.audit != config.audit
    }
}
