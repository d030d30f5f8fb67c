//! HTTP without domain words: the one outbound client.

mod client;

pub use client::Client;
pub use client::Failed;
