//! valetkey: a local credential broker for AI agents.

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
