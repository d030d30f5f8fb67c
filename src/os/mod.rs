//! The machine: the only module that asks the operating system for time, randomness and identity.

mod background;
mod clock;
mod environment;
mod folder;
mod harden;
mod paths;
mod peer;
pub mod random;
pub mod signals;
pub mod systemd;
mod turn;
mod user;

pub use background::NotStarted;
pub use background::Program;
pub use background::Started;
pub use background::detach;
pub use background::start;
pub use clock::SystemClock;
pub use environment::Environment;
pub use environment::Scrub;
pub use folder::NotPrivate;
pub use folder::may_execute;
pub use folder::private_append;
pub use folder::private_folder;
pub use folder::replace_private;
pub use harden::NotHardened;
pub use harden::descriptors;
pub use harden::harden;
pub use paths::Paths;
pub use peer::PeerProcess;
pub use peer::TcpPeer;
pub use peer::is_ours;
pub use peer::peer_of;
pub use peer::peer_process;
pub use turn::behind_others;
pub use user::current_user;
