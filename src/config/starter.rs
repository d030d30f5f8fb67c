//! What `valetkey init` writes, and the built-in API that the starter policy permits.

/// The identifier of the built-in whoami API.
pub const WHOAMI_IDENTIFIER: &str = "https://whoami.valetkey.internal";

/// Its host.
pub const WHOAMI_HOST: &str = "whoami.valetkey.internal";

/// A file that `valetkey init` writes.
#[derive(Clone, Copy, Debug)]
pub struct StarterFile {
    /// Relative to the configuration folder.
    pub path: &'static str,
    /// Its text.
    pub text: &'static str,
}

/// All of them.
pub const STARTER_FILES: [StarterFile; 4] = [
    StarterFile { path: "proxy.toml", text: include_str!("starter/proxy.toml") },
    StarterFile { path: "policies/10-whoami.cedar", text: include_str!("starter/10-whoami.cedar") },
    StarterFile { path: "policies/20-tunnels.cedar", text: include_str!("starter/20-tunnels.cedar") },
    StarterFile { path: "policies/30-resources.cedar", text: include_str!("starter/30-resources.cedar") },
];
