//! # valetkey
//!
//! A local credential broker for AI agents. An agent runs with `HTTPS_PROXY` set to the daemon; the daemon
//! opens its HTTPS with a local authority, finds the destination among the configured resources, decides with
//! Cedar, obtains a short-lived token, puts it into the request, forwards it, and records all of this in a
//! tamper-evident ledger. The agent never holds a secret.
//!
//! ## The map: one request, seven rooms
//!
//! A request comes in at [`proxy`] and passes one page, [`broker`]. Each step is a folder with one verb, and
//! leaves one proof without which the next can't be asked for:
//!
//! | step | room | proof |
//! |---|---|---|
//! | 1 identify: who asks | [`agent`] | [`agent::Session`] |
//! | 2 find: what is asked for | [`resource`] | [`resource::Target`] |
//! | 3 decide: may it | [`policy`] | [`policy::Permit`], made nowhere else |
//! | 4 obtain: with what | [`credential`] | [`credential::Credential`], only for a permit |
//! | 5 forward: send it | [`upstream`] | [`upstream::Reply`]; spends the permit |
//! | 6 record: what happened | [`audit`] | [`audit::Entry`]; dropped unfinished, it still ends its record |
//! | 7 answer | [`proxy`] | a response, or a [`refusal::Refusal`] in words |
//!
//! To follow a request: `proxy/listener.rs` takes the connection, `proxy/connection.rs` reads the CONNECT,
//! [`broker::Broker::admit`] judges it, `proxy/intercept.rs` opens the TLS, `proxy/http1.rs` or `proxy/http2.rs` reads
//! each request inside, `proxy/request.rs` hands it over, and [`broker::Broker::serve`] carries it.
//!
//! ## Layers
//!
//! Imports go downward only, which `tests/it/tidy.rs` holds:
//!
//! ```text
//! L5  main  cli  daemon                                  assemble; may import anything below
//! L4  proxy  control  zone  whoami  config               edges that speak bytes; never each other
//! L3  broker  refusal                                    the corridor; knows the steps and no bytes
//! L2  agent resource policy credential upstream audit    the steps: model, mechanisms, and the proof before
//! L1  http  os  tls  jose  cedar                         mechanisms without domain words
//! L0  model  limits                                      words and numbers; no I/O, no tokio, no clock
//! ```
//!
//! The [`zone`] is a stranger to the broker's side, which speaks to it by HTTP only, even in one process: a
//! zone elsewhere is only another address. [`daemon`] is the one place that knows both.
//!
//! ## Words
//!
//! - *agent*: a program that acts for a person; *session*: one run of it. A session has a secret, the proxy
//!   password, that is worth nothing elsewhere.
//! - *resource*: a protected API with an identifier (RFC 8707), the hosts and paths it claims, and a source
//!   for its credential.
//! - *zone*: an OAuth 2.0 authorization server with its users, applications and resources.
//! - *permit*, *denial*: what policy says. *Refusal*: any reason why a request goes no further.
//! - *ledger*, *record*: the append-only files, and the lines of one request in them.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        reason = "tests say what they expect by failing"
    )
)]

pub mod agent;
pub mod audit;
pub mod broker;
pub mod cedar;
pub mod cli;
pub mod config;
pub mod control;
pub mod credential;
pub mod daemon;
pub mod http;
pub mod jose;
pub mod limits;
pub mod model;
pub mod os;
pub mod policy;
pub mod proxy;
pub mod refusal;
pub mod resource;
pub mod tls;
pub mod upstream;
pub mod whoami;
pub mod zone;
