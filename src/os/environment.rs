//! The environment of this process, asked once, and what of it a daemon must not live with.
//!
//! Whoever can set a variable for the daemon could have it load a library, trust a root, log TLS keys or
//! send its requests to a proxy of theirs. So such variables are taken out before it does anything; the
//! corporate proxy that the user's environment names is kept under names of our own.

use std::ffi::OsStr;
use std::ffi::OsString;
use std::process::Command;

/// Variables as they were when the process began.
#[derive(Clone, Default)]
pub struct Environment(Vec<(OsString, OsString)>);

impl Environment {
    /// This process's.
    #[allow(clippy::disallowed_methods, reason = "this is the one place that asks for the environment")]
    pub fn of_this_process() -> Self {
        Self(std::env::vars_os().collect())
    }

    /// One made up, for tests.
    pub fn of<K: Into<OsString>, V: Into<OsString>>(variables: impl IntoIterator<Item = (K, V)>) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }

    /// The value of `name`.
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_os_str())
    }

    /// The value of `name`, when it is not empty and UTF-8.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.to_str().filter(|value| !value.is_empty())
    }

    /// What a daemon with this environment must be rid of; none when it is clean.
    pub fn scrub(&self) -> Option<Scrub> {
        let remove: Vec<_> = self.0.iter().map(|(name, _)| name).filter(|name| is_untrusted(name)).cloned().collect();
        if remove.is_empty() {
            return None;
        }
        // Inside a session the proxy variables name this daemon itself.
        let keep: &[_] = if self.get(SESSION_VARIABLE).is_some() { &[] } else { &KEPT_UNDER_OUR_NAME };
        let set = keep
            .iter()
            .filter(|(ours, _)| self.get(ours).is_none())
            .filter_map(|(ours, theirs)| Some((*ours, theirs.iter().find_map(|name| self.text(name))?.to_owned())))
            .collect();
        Some(Scrub { remove, set })
    }
}

impl std::fmt::Debug for Environment {
    /// Names only: values may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// What to take out of an environment, and what to keep of it under our names.
#[derive(Clone, PartialEq, Eq)]
pub struct Scrub {
    remove: Vec<OsString>,
    set: Vec<(&'static str, String)>,
}

impl Scrub {
    /// Applies it to a program that is yet to start.
    pub fn apply(&self, command: &mut Command) {
        for name in &self.remove {
            command.env_remove(name);
        }
        for (name, value) in &self.set {
            command.env(name, value);
        }
    }

    /// Starts this program anew in its own place: same process, same arguments, same open sockets, clean
    /// environment. Comes back only when that failed. Can't go round in circles, for what it would scrub is gone.
    #[cfg(unix)]
    pub fn begin_again(&self) -> std::io::Error {
        use std::os::unix::process::CommandExt as _;

        let program = match std::env::current_exe() {
            Ok(program) => program,
            Err(error) => return error,
        };
        let mut command = Command::new(program);
        command.args(std::env::args_os().skip(1));
        self.apply(&mut command);
        command.exec()
    }
}

impl std::fmt::Debug for Scrub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scrub").field("remove", &self.remove).finish_non_exhaustive()
    }
}

/// Names what makes a program load, trust, tell or send what others want.
fn is_untrusted(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    let upper = name.to_ascii_uppercase();
    UNTRUSTED.contains(&upper.as_str())
        || LOADER_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || (upper.ends_with("_PROXY") && !upper.starts_with("VALETKEY_"))
}

/// Set in every child of `run`.
const SESSION_VARIABLE: &str = "VALETKEY_SESSION_ID";

/// The dynamic loader's own variables, of which there is a new one now and then.
const LOADER_PREFIXES: [&str; 2] = ["LD_", "DYLD_"];

const UNTRUSTED: [&str; 6] =
    ["SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE", "OPENSSL_CONF", "GCONV_PATH", "RESOLV_HOST_CONF"];

/// `[proxy] upstream` falls back to these.
const KEPT_UNDER_OUR_NAME: [(&str, &[&str]); 2] = [
    ("VALETKEY_UPSTREAM_PROXY", &["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]),
    ("VALETKEY_UPSTREAM_NO_PROXY", &["NO_PROXY", "no_proxy"]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clean_environment_is_left_alone() {
        let clean = Environment::of([("PATH", "/bin"), ("VALETKEY_UPSTREAM_PROXY", "http://p:1"), ("LDAP", "x")]);
        assert_eq!(clean.scrub(), None);
    }

    #[test]
    fn what_would_steer_the_daemon_is_removed_and_the_proxy_kept_under_our_name() {
        let dirty = Environment::of([
            ("LD_PRELOAD", "/tmp/evil.so"),
            ("LD_AUDIT", "/tmp/evil.so"),
            ("SSL_CERT_FILE", "/tmp/evil.pem"),
            ("SSLKEYLOGFILE", "/tmp/keys"),
            ("https_proxy", "http://proxy.corp:3128"),
            ("no_proxy", ".corp"),
            ("Http_Proxy", "http://proxy.corp:3128"),
            ("HOME", "/h"),
        ]);
        let scrub = dirty.scrub().unwrap();
        assert_eq!(scrub.remove.len(), 7);
        assert!(!scrub.remove.contains(&"HOME".into()));
        assert_eq!(
            scrub.set,
            [
                ("VALETKEY_UPSTREAM_PROXY", "http://proxy.corp:3128".to_owned()),
                ("VALETKEY_UPSTREAM_NO_PROXY", ".corp".to_owned()),
            ]
        );
    }

    #[test]
    fn the_proxy_of_a_session_is_never_taken_for_the_corporate_one() {
        let inside =
            Environment::of([("HTTPS_PROXY", "http://ses_1:secret@127.0.0.1:7979"), (SESSION_VARIABLE, "ses_1")]);
        assert_eq!(inside.scrub().unwrap().set, []);
    }

    #[test]
    fn our_own_name_for_the_proxy_wins() {
        let both = Environment::of([("VALETKEY_UPSTREAM_PROXY", "http://a:1"), ("HTTPS_PROXY", "http://b:1")]);
        assert_eq!(both.scrub().unwrap().set, []);
    }

    #[test]
    fn a_child_gets_the_scrubbed_environment() {
        let mut command = Command::new("true");
        let dirty = Environment::of([("LD_PRELOAD", "x"), ("HTTPS_PROXY", "http://p:1")]);
        dirty.scrub().unwrap().apply(&mut command);
        let changes: Vec<_> = command.get_envs().collect();
        assert!(changes.contains(&(OsStr::new("LD_PRELOAD"), None)));
        assert!(changes.contains(&(OsStr::new("VALETKEY_UPSTREAM_PROXY"), Some(OsStr::new("http://p:1")))));
    }

    #[test]
    fn debug_output_shows_no_value() {
        assert_eq!(format!("{:?}", Environment::of([("TOKEN", "hunter2")])), "{\"TOKEN\"}");
    }
}
