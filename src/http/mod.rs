//! HTTP without domain words: the one outbound client, and forms.

mod client;
mod form;

pub use client::Client;
pub use client::Failed;
pub use form::Form;
pub use form::form_encode;
