//! Callers that nobody knows: held back when there are many.
//!
//! Each leaves a record, and a flood of them would fill the disk, without which nothing is forwarded.

use std::sync::Mutex;
use std::sync::PoisonError;

use crate::limits;
use crate::model::Timestamp;

/// Counts them by the second.
#[derive(Debug, Default)]
pub struct Strangers {
    /// The second that is counted, and how many came in it.
    counted: Mutex<(i64, u32)>,
}

impl Strangers {
    /// Counts one more. Beyond [`limits::STRANGERS_PER_SECOND`] it waits for [`limits::STRANGER_DELAY`].
    pub async fn hold_back(&self, now: Timestamp) {
        let many = {
            let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
            let (second, number) = &mut *counted;
            *number = if *second == now.as_seconds() { number.saturating_add(1) } else { 1 };
            *second = now.as_seconds();
            *number > limits::STRANGERS_PER_SECOND
        };
        if many {
            tokio::time::sleep(limits::STRANGER_DELAY).await;
        }
    }
}
