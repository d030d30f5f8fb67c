//! The chapters: what valetkey promises, told against the real binary.
//!
//! Each chapter arranges a `World` (a home folder, a daemon, upstreams that remember), acts as an agent would and
//! asserts what the agent saw, what the upstream saw and what the ledger says. Loopback only; every wait is bounded.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "tests say what they expect by failing, and run programs with an environment"
)]

mod attacks;
mod audit;
mod auth;
mod canary;
mod cli;
mod clients;
mod config;
mod forwarding;
mod interception;
mod lifecycle;
mod page;
mod pages;
mod readme;
mod refusals;
mod sdk;
mod signing_in;
mod tidy;
mod world;
mod zone_alone;
mod zone_events;
mod zone_lists;
mod zone_oauth;
