//! Step 6, record: the tamper-evident ledger.
//!
//! One JSON object a line, appended; each line names the SHA-256 of the one before, across files and days;
//! the head is signed by a key that lives elsewhere. A decision is written before anything is obtained or
//! sent, its completion when the answer has ended, and both carry the record's id. What can't be written is
//! not forwarded. No query, header, body or token is ever in a line.
//!
//! Writing: [`Ledger`], [`Entry`]. Reading: [`Records`], [`Notes`], [`verify`].

mod chain;
mod entry;
mod failure;
mod folder;
mod front;
mod heads;
mod lead;
mod ledger;
mod line;
mod look_back;
mod note;
mod pen;
mod query;
mod queue;
mod reader;
mod record;
mod recovery;
mod seat;
mod settings;
mod signing;
mod told;
mod verify;
mod walk;
mod writer;

pub use chain::Head;
pub use entry::Entry;
pub use failure::LedgerError;
pub use failure::Unrecorded;
pub use folder::FileName;
pub use folder::FolderNotUsable;
pub use ledger::Ledger;
pub use line::misleads;
pub use note::Note;
pub use note::NoteField;
pub use note::Notes;
pub use query::Filter;
pub use query::Record;
pub use query::Records;
pub use record::Completion;
pub use record::Decision;
pub use record::NotADecision;
pub use record::Opening;
pub use record::Outcome;
pub use record::RefusedBy;
pub use record::Rejection;
pub use recovery::Recovery;
pub use settings::Durability;
pub use settings::Settings;
pub use signing::KeyNotUsable;
pub use signing::PublicKey;
pub use verify::Fault;
pub use verify::Report;
pub use verify::Tampering;
pub use verify::verify;

#[cfg(test)]
mod tests;
