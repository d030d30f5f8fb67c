//! What a guarded stream and those who answer its requests tell each other.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::task::Context;

use futures_util::task::AtomicWaker;

/// Shared by a [`Strict`](crate::http::Strict) and the service behind it. Both count the requests of the
/// connection from 1, so that they speak of the same one.
#[derive(Debug, Default)]
pub struct Gate {
    /// The request that may switch protocols and is not answered yet; 0 for none.
    parked: AtomicU64,
    reader: AtomicWaker,
    broken: AtomicBool,
    heard: AtomicBool,
}

impl Gate {
    /// Request `number` was answered without switching. The answer to an earlier one moves nothing.
    pub fn proceed(&self, number: u64) {
        if self.parked.compare_exchange(number, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
            self.reader.wake();
        }
    }

    /// Something that is no request came behind the requests; nothing more is read.
    pub fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }

    /// Set whenever bytes come; who looks, clears it.
    pub fn heard(&self) -> &AtomicBool {
        &self.heard
    }

    pub(super) fn park(&self, number: u64) {
        self.parked.store(number, Ordering::Release);
    }

    pub(super) fn is_parked(&self) -> bool {
        self.parked.load(Ordering::Acquire) != 0
    }

    /// Whether the stream is still parked; `cx` hears when it no longer is.
    pub(super) fn stays_parked(&self, cx: &mut Context<'_>) -> bool {
        if !self.is_parked() {
            return false;
        }
        self.reader.register(cx.waker());
        self.is_parked()
    }

    pub(super) fn hear(&self) {
        self.heard.store(true, Ordering::Relaxed);
    }

    pub(super) fn break_off(&self) {
        self.broken.store(true, Ordering::Relaxed);
    }
}
