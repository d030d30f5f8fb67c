//! Where things live: the XDG folders, or one folder for everything.

use std::ffi::OsString;
use std::path::Path;
use std::path::PathBuf;

/// The folders of one user's valetkey.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    config: PathBuf,
    state: PathBuf,
    runtime: PathBuf,
}

impl Paths {
    /// `VALETKEY_HOME` puts everything below one folder; otherwise `XDG_CONFIG_HOME`, `XDG_STATE_HOME` and
    /// `XDG_RUNTIME_DIR` with their usual defaults. `read` is how the environment is asked. None without a home.
    pub fn find(read: impl Fn(&str) -> Option<OsString>) -> Option<Self> {
        let folder = |name: &str| read(name).map(PathBuf::from).filter(|path| path.is_absolute());
        if let Some(home) = folder("VALETKEY_HOME") {
            return Some(Self::below(&home));
        }
        let home = folder("HOME");
        let below_home = |rest: &str| home.as_ref().map(|home| home.join(rest));
        let state = folder("XDG_STATE_HOME").or_else(|| below_home(".local/state"))?.join("valetkey");
        let runtime = folder("XDG_RUNTIME_DIR").map_or_else(|| state.join("run"), |path| path.join("valetkey"));
        Some(Self {
            config: folder("XDG_CONFIG_HOME").or_else(|| below_home(".config"))?.join("valetkey"),
            state,
            runtime,
        })
    }

    /// Everything below `home`: configuration there, the rest in `state/` and `run/`.
    pub fn below(home: &Path) -> Self {
        Self { config: home.to_owned(), state: home.join("state"), runtime: home.join("run") }
    }

    /// `proxy.toml`, where neither `--config` nor `VALETKEY_CONFIG` names another.
    pub fn config_file(&self) -> PathBuf {
        self.config.join("proxy.toml")
    }

    /// Where the configuration and its `policies/` live.
    pub fn config_folder(&self) -> &Path {
        &self.config
    }

    /// Certificates and keys, 0700.
    pub fn ca_folder(&self) -> PathBuf {
        self.state.join("ca")
    }

    /// The ledger, 0700.
    pub fn audit_folder(&self) -> PathBuf {
        self.state.join("audit")
    }

    /// The ledger of the zone's events.
    pub fn zone_audit_folder(&self) -> PathBuf {
        self.state.join("zone-audit")
    }

    /// The embedded zone's database.
    pub fn zone_database(&self) -> PathBuf {
        self.state.join("zone.db")
    }

    /// What a daemon in the background says.
    pub fn daemon_log(&self) -> PathBuf {
        self.state.join("daemon.log")
    }

    /// What outlives a restart, 0700.
    pub fn state_folder(&self) -> &Path {
        &self.state
    }

    /// The control socket's folder, 0700.
    pub fn runtime_folder(&self) -> &Path {
        &self.runtime
    }

    /// The daemon's own API.
    pub fn control_socket(&self) -> PathBuf {
        self.runtime.join("control.sock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_folder_or_the_xdg_ones() {
        let with = |pairs: &'static [(&str, &str)]| {
            Paths::find(move |name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into()))
        };
        assert_eq!(with(&[]), None);
        assert_eq!(with(&[("VALETKEY_HOME", "/x")]).unwrap().config_file(), Path::new("/x/proxy.toml"));
        let usual = with(&[("HOME", "/h")]).unwrap();
        assert_eq!(usual.config_file(), Path::new("/h/.config/valetkey/proxy.toml"));
        assert_eq!(usual.control_socket(), Path::new("/h/.local/state/valetkey/run/control.sock"));
        let xdg = with(&[("HOME", "/h"), ("XDG_RUNTIME_DIR", "/run/user/1"), ("XDG_STATE_HOME", "relative")]).unwrap();
        assert_eq!(xdg.control_socket(), Path::new("/run/user/1/valetkey/control.sock"));
        assert_eq!(xdg.audit_folder(), Path::new("/h/.local/state/valetkey/audit"));
    }
}
