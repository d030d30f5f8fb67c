//! HTTP without domain words: the guard over raw bytes, which headers may travel, bodies, forms, and the
//! one outbound client.

mod body;
mod chunks;
mod client;
mod decoder;
mod form;
mod framing;
pub mod guard;
mod head;
pub mod headers;
mod link;
mod server;

pub use body::Body;
pub use body::BodyFailed;
pub use body::Frames;
pub use body::Trailers;
pub use client::Client;
pub use client::Dial;
pub use client::Failed;
pub(crate) use decoder::Decoded;
pub(crate) use decoder::Decoder;
pub use form::Form;
pub use form::form_encode;
pub(crate) use framing::Framing;
pub use framing::Violation;
pub use guard::Malformed;
pub use head::NotAnAnswer;
pub(crate) use head::Told;
pub(crate) use head::is_bodiless;
pub(crate) use head::keeps_alive;
pub(crate) use head::take_request;
pub(crate) use head::take_response;
pub(crate) use head::write_request;
pub(crate) use head::write_response;
pub(crate) use link::Link;
pub use link::Rewound;
pub use server::serve;
