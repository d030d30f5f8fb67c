//! HTTP without domain words: the guard over raw bytes, which headers may travel, bodies, forms, and the
//! one outbound client.

mod body;
mod chunks;
mod client;
mod form;
mod framing;
mod gate;
pub mod guard;
pub mod headers;
mod messages;
mod server;
mod strict;

pub use body::Body;
pub use body::BodyFailed;
pub use body::Carrier;
pub use body::Trailers;
pub use client::Client;
pub use client::Dial;
pub use client::Failed;
pub use form::Form;
pub use form::form_encode;
pub use framing::Violation;
pub use gate::Gate;
pub use guard::Malformed;
pub use server::serve;
pub use strict::Strict;
