//! The variables by which an agent's programs find the proxy and trust our certificates.
//!
//! Which client reads which variable was measured; none of them can be left out for tidiness. Limits: Java gets
//! the proxy's port and no trust (it reads no PEM); Chromium and clients with roots of their own get neither; a
//! `~/.wgetrc` is not read while WGETRC names ours.

use std::ffi::OsStr;
use std::ffi::OsString;
use std::path::Path;
use std::path::PathBuf;

use crate::tls::bundle::Bundle;
use crate::tls::folder::FolderError;
use crate::tls::folder::PrivateFolder;

/// What a child's environment is to have and to lose.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct AgentEnvironment {
    /// To set, over what is there. The proxy's URL is a secret.
    pub set: Vec<(String, OsString)>,
    /// To remove.
    pub unset: Vec<&'static str>,
}

/// Variables that are lists: the agent's own values are added to, so that they must be known.
pub const LISTS: [&str; 3] = ["GIT_CONFIG_COUNT", "PHP_INI_SCAN_DIR", "JAVA_TOOL_OPTIONS"];

/// Where the proxy is, for one session.
#[derive(Clone, Copy)]
pub struct AgentProxy<'a> {
    /// `http://session:secret@127.0.0.1:port`.
    pub url: &'a str,
    /// A listener on loopback that is this session's alone, for clients that cannot authenticate.
    pub own_port: Option<u16>,
}

/// The files the variables point to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentFiles {
    bundle: Bundle,
    wgetrc: PathBuf,
    php: PathBuf,
}

impl AgentFiles {
    /// Writes, where they changed, the settings of the two clients that take the bundle from a file only.
    /// `folder` is the authority's. Blocks on the disk.
    pub fn write(folder: &Path, bundle: &Bundle) -> Result<Self, FolderError> {
        let top = PrivateFolder::open_or_make(folder)?;
        let _turn = top.turn()?;
        let php_folder = folder.join("php");
        let php = PrivateFolder::open_or_make(&php_folder)?;
        let merged = bundle.merged.as_os_str().as_encoded_bytes();
        top.write_if_changed("wgetrc", &[b"ca_certificate = ", merged, b"\n"].concat())?;
        let ini = [b"curl.cainfo='", merged, b"'\nopenssl.cafile='", merged, b"'\n"].concat();
        php.write_if_changed("valetkey.ini", &ini)?;
        Ok(Self { bundle: bundle.clone(), wgetrc: top.path_of("wgetrc"), php: php_folder })
    }
}

/// Everything an agent's environment needs. `parent` is how the environment that the child inherits is asked:
/// three of the variables are lists that are added to.
pub fn agent_environment(
    proxy: AgentProxy<'_>,
    files: &AgentFiles,
    parent: impl Fn(&str) -> Option<OsString>,
) -> AgentEnvironment {
    let mut environment = AgentEnvironment { set: Vec::new(), unset: vec!["SSL_CERT_DIR"] };
    PROXY.iter().for_each(|name| environment.set(name, proxy.url));
    NO_PROXY.iter().for_each(|name| environment.set(name, LOOPBACK));
    MERGED.iter().for_each(|name| environment.set(name, &files.bundle.merged));
    OWN.iter().for_each(|name| environment.set(name, &files.bundle.own));
    environment.set("NODE_USE_ENV_PROXY", "1");
    environment.set("WGETRC", &files.wgetrc);
    environment.set("PHP_INI_SCAN_DIR", php_folders(parent("PHP_INI_SCAN_DIR"), &files.php));
    environment.add_git_setting("http.proxyAuthMethod", "basic", parent("GIT_CONFIG_COUNT"));
    if let Some(port) = proxy.own_port {
        environment.set("JAVA_TOOL_OPTIONS", java_options(parent("JAVA_TOOL_OPTIONS"), port));
    }
    environment
}

impl AgentEnvironment {
    fn set(&mut self, name: &str, value: impl AsRef<OsStr>) {
        self.set.push((name.to_owned(), value.as_ref().to_owned()));
    }

    /// git sends proxy credentials only once challenged, unless told the method; the setting comes after those
    /// that the environment already brings (git-config(1), GIT_CONFIG_COUNT).
    fn add_git_setting(&mut self, key: &str, value: &str, count: Option<OsString>) {
        let count = count.and_then(|count| count.to_str()?.trim().parse::<u16>().ok()).unwrap_or(0);
        self.set(&format!("GIT_CONFIG_KEY_{count}"), key);
        self.set(&format!("GIT_CONFIG_VALUE_{count}"), value);
        self.set("GIT_CONFIG_COUNT", (u32::from(count) + 1).to_string());
    }
}

impl std::fmt::Debug for AgentEnvironment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.set.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("AgentEnvironment").field("set", &names).field("unset", &self.unset).finish()
    }
}

impl std::fmt::Debug for AgentProxy<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AgentProxy").field("own_port", &self.own_port).finish_non_exhaustive()
    }
}

/// An empty entry is the folder that PHP was built with.
fn php_folders(parent: Option<OsString>, ours: &Path) -> OsString {
    let mut folders = parent.unwrap_or_default();
    folders.push(":");
    folders.push(ours);
    folders
}

fn java_options(parent: Option<OsString>, port: u16) -> OsString {
    let mut options = parent.filter(|options| !options.is_empty()).unwrap_or_default();
    if !options.is_empty() {
        options.push(" ");
    }
    options.push(format!(
        "-Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort={port} -Dhttp.proxyHost=127.0.0.1 -Dhttp.proxyPort={port} \
         -Dhttp.nonProxyHosts=localhost|127.*|[::1]"
    ));
    options
}

/// Both cases of each: grpc and wget read the lower one only.
const PROXY: [&str; 6] = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];

const NO_PROXY: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// Loopback alone: every other name here would be a way past the broker.
const LOOPBACK: &str = "localhost,127.0.0.1,::1";

/// These replace the client's roots.
const MERGED: [&str; 13] = [
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "PIP_CERT",
    "AWS_CA_BUNDLE",
    "CARGO_HTTP_CAINFO",
    "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    "npm_config_cafile",
    "CODEX_CA_CERTIFICATE",
    // not measured, but named in their documentation, and often set where the other ones are
    "HTTPLIB2_CA_CERTS",
    "NIX_SSL_CERT_FILE",
];

/// These add to the client's roots.
const OWN: [&str; 2] = ["NODE_EXTRA_CA_CERTS", "DENO_CERT"];

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(port: Option<u16>, parent: &'static [(&str, &str)]) -> AgentEnvironment {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("ca");
        let files = AgentFiles::write(&folder, &Bundle::below(&folder)).unwrap();
        let proxy = AgentProxy { url: "http://s:secret@127.0.0.1:7979", own_port: port };
        agent_environment(proxy, &files, |name| {
            parent.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into())
        })
    }

    fn value(environment: &AgentEnvironment, name: &str) -> Option<String> {
        let mut found = environment.set.iter().filter(|(key, _)| key == name);
        let value = found.next().map(|(_, value)| value.to_str().unwrap().to_owned());
        assert!(found.next().is_none(), "{name} is set once");
        value
    }

    #[test]
    fn both_cases_of_the_proxy_and_both_files_of_roots() {
        let environment = environment(None, &[]);
        for name in PROXY {
            assert_eq!(value(&environment, name).unwrap(), "http://s:secret@127.0.0.1:7979");
        }
        assert_eq!(value(&environment, "no_proxy").unwrap(), "localhost,127.0.0.1,::1");
        assert!(value(&environment, "SSL_CERT_FILE").unwrap().ends_with("/ca/bundle.pem"));
        assert!(value(&environment, "NODE_EXTRA_CA_CERTS").unwrap().ends_with("/ca/ca.pem"));
        assert!(value(&environment, "PHP_INI_SCAN_DIR").unwrap().starts_with(":/"));
        assert_eq!(value(&environment, "JAVA_TOOL_OPTIONS"), None);
        assert_eq!(value(&environment, "REQUEST_METHOD"), None);
        assert_eq!(environment.unset, ["SSL_CERT_DIR"]);
    }

    #[test]
    fn what_the_parent_already_says_is_kept() {
        let environment = environment(
            Some(4711),
            &[("GIT_CONFIG_COUNT", "2"), ("JAVA_TOOL_OPTIONS", "-Xmx1g"), ("PHP_INI_SCAN_DIR", "/etc/php")],
        );
        assert_eq!(value(&environment, "GIT_CONFIG_COUNT").unwrap(), "3");
        assert_eq!(value(&environment, "GIT_CONFIG_KEY_2").unwrap(), "http.proxyAuthMethod");
        assert_eq!(value(&environment, "GIT_CONFIG_VALUE_2").unwrap(), "basic");
        assert!(value(&environment, "JAVA_TOOL_OPTIONS").unwrap().starts_with("-Xmx1g -Dhttps.proxyHost=127.0.0.1 "));
        assert!(value(&environment, "PHP_INI_SCAN_DIR").unwrap().starts_with("/etc/php:/"));
    }

    #[test]
    fn the_sessions_secret_is_not_in_the_debug_form() {
        let environment = environment(None, &[]);
        assert!(!format!("{environment:?}").contains("secret"));
        assert!(!format!("{:?}", AgentProxy { url: "http://s:secret@h", own_port: None }).contains("secret"));
    }
}
