//! The service manager: what it is told, and the sockets it holds for us.
//!
//! Without a service manager every call here does nothing.

use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use listenfd::ListenFd;
use sd_notify::NotifyState;
use tokio_util::sync::CancellationToken;

/// The daemon serves.
pub fn ready(status: &str) {
    tell(&[NotifyState::Status(status), NotifyState::Ready]);
}

/// A line for `systemctl status`.
pub fn status(status: &str) {
    tell(&[NotifyState::Status(status)]);
}

/// The daemon drains.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Says that the daemon lives, twice within the time the service manager grants, as long as `is_alive` says so.
/// Returns at once when no watchdog is wanted.
pub async fn keep_watchdog(stop: CancellationToken, is_alive: impl Fn() -> bool) {
    let Some(granted) = sd_notify::watchdog_enabled() else { return };
    let mut beat = tokio::time::interval((granted / 2).max(Duration::from_millis(1)));
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = beat.tick() => {}
        }
        if is_alive() {
            tell(&[NotifyState::Watchdog]);
        }
    }
}

/// The sockets that were open before the daemon began.
#[derive(Debug, Default)]
pub struct Activated {
    /// Where agents connect.
    pub proxy: Vec<TcpListener>,
    /// The control socket.
    pub control: Option<UnixListener>,
}

/// Takes the sockets over, once: told apart by what they are. Fails on one that is neither.
pub fn activated() -> std::io::Result<Activated> {
    sort(&mut ListenFd::from_env())
}

fn sort(passed: &mut ListenFd) -> std::io::Result<Activated> {
    let mut activated = Activated::default();
    for place in 0..passed.len() {
        if let Ok(Some(control)) = passed.take_unix_listener(place) {
            control.set_nonblocking(true)?;
            activated.control = Some(control);
        } else if let Some(proxy) = passed.take_tcp_listener(place)? {
            proxy.set_nonblocking(true)?;
            activated.proxy.push(proxy);
        }
    }
    Ok(activated)
}

/// A service manager that does not listen is no reason to stop.
fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager could not be told");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_service_manager_there_are_no_sockets() {
        let activated = sort(&mut ListenFd::empty()).unwrap();
        assert!(activated.proxy.is_empty());
        assert!(activated.control.is_none());
    }

    #[tokio::test]
    async fn without_a_watchdog_nothing_beats() {
        keep_watchdog(CancellationToken::new(), || true).await;
    }
}
