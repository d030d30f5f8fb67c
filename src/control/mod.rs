//! The daemon's own API: HTTP/1.1 and JSON on a unix socket, for the commands of the same user.
//!
//! The socket has mode 0600 in a folder of mode 0700, and each side asks the kernel whose the other is before
//! it says a word. A session lives exactly as long as the connection that opened it.
//!
//! | | |
//! |---|---|
//! | `POST /sessions` | opens a session; one JSON line, and the connection stays open |
//! | `GET /sessions` | the open ones |
//! | `DELETE /sessions/{id}` | ends one |
//! | `GET /status` | how the daemon is |
//! | `POST /reload` | reads configuration and policies anew |
//! | `POST /stop` | stops the daemon |

mod client;
#[cfg(test)]
pub(crate) mod fake;
mod server;
mod socket;
#[cfg(test)]
mod tests;
mod wire;

pub use client::CallFailed;
pub use client::Client;
pub use client::HeldSession;
pub use server::Backend;
pub use server::serve;
pub use socket::ControlListener;
pub use socket::NotListening;
pub use wire::CertificateStatus;
pub use wire::ConfigurationStatus;
pub use wire::Health;
pub use wire::LedgerStatus;
pub use wire::PolicyStatus;
pub use wire::Problem;
pub use wire::ProblemKind;
pub use wire::SessionOpened;
pub use wire::SessionSummary;
pub use wire::SessionWish;
pub use wire::Status;
pub use wire::ZoneStatus;
