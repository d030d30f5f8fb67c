//! Who is at the other end of a local connection.
//!
//! Only the uid is fit for a decision: a pid may have been given to another process since.

use std::net::IpAddr;
use std::net::SocketAddr;

use tokio::net::UnixStream;

/// The process at the other end of a unix socket, as it was when it connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerProcess {
    /// Whose it is.
    pub uid: u32,
    /// Its number, for the record.
    pub pid: Option<u32>,
}

/// The owner of the other end of a TCP connection on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpPeer {
    /// Whose it is.
    pub uid: u32,
}

/// Asks the kernel who connected.
pub fn peer_process(stream: &UnixStream) -> std::io::Result<PeerProcess> {
    let found = stream.peer_cred()?;
    Ok(PeerProcess { uid: found.uid(), pid: found.pid().and_then(|pid| u32::try_from(pid).ok()) })
}

/// Whether a uid is the one this process runs as.
pub fn is_ours(uid: u32) -> bool {
    uid == rustix::process::geteuid().as_raw()
}

/// Who holds the other end of a loopback connection: `local` is our end, `remote` theirs. None when the
/// kernel does not say (the connection is gone, or this is no Linux). Reads the whole socket table, near 1 ms
/// with a thousand sockets, so it is for connections, not for requests.
pub fn peer_of(local: SocketAddr, remote: SocketAddr) -> Option<TcpPeer> {
    TABLES.iter().find_map(|table| find(&std::fs::read_to_string(table).ok()?, local, remote))
}

const TABLES: [&str; 2] = ["/proc/net/tcp", "/proc/net/tcp6"];

/// The peer's own line has our end as its remote one.
fn find(table: &str, local: SocketAddr, remote: SocketAddr) -> Option<TcpPeer> {
    table.lines().skip(1).find_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let theirs = address(fields.nth(1)?)?;
        let ours = address(fields.next()?)?;
        let established = fields.next()? == ESTABLISHED;
        let matches = established && same(theirs, remote) && same(ours, local);
        matches.then(|| Some(TcpPeer { uid: fields.nth(3)?.parse().ok()? }))?
    })
}

/// A connection in any other state has lost its owner: the kernel shows uid 0.
const ESTABLISHED: &str = "01";

fn same(a: SocketAddr, b: SocketAddr) -> bool {
    a.port() == b.port() && a.ip().to_canonical() == b.ip().to_canonical()
}

/// `0100007F:1F2B`: 32-bit words in the machine's byte order, the port in network order.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let mut bytes = [0; 16];
    let words = ip.as_bytes().chunks(8);
    for (word, to) in words.zip(bytes.chunks_mut(4)) {
        let word = u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok()?;
        to.copy_from_slice(&word.to_ne_bytes());
    }
    let ip = match ip.len() {
        8 => IpAddr::from(*bytes.first_chunk::<4>()?),
        32 => IpAddr::from(bytes),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_endian = "little")]
    #[test]
    fn the_socket_tables_are_read_as_linux_writes_them() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
            0: 0100007F:1F2B 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1001        0 1 1 0 100 0 0 10 0\n   \
            1: 0100007F:D431 0100007F:1F2B 01 00000000:00000000 00:00000000 00000000  1000        0 2 1 0 20 4 30 10 -1\n   \
            2: 0100007F:1F2B 0100007F:D431 01 00000000:00000000 00:00000000 00000000  1001        0 3 1 0 20 4 30 10 -1\n   \
            3: 0100007F:D432 0100007F:1F2B 06 00000000:00000000 00:00000000 00000000     0        0 0 3 0 20 4 30 10 -1\n";
        let local: SocketAddr = "127.0.0.1:7979".parse().unwrap();
        assert_eq!(find(table, local, "127.0.0.1:54321".parse().unwrap()), Some(TcpPeer { uid: 1000 }));
        assert_eq!(find(table, local, "127.0.0.1:54322".parse().unwrap()), None, "TIME_WAIT has no owner");
        assert_eq!(find(table, local, "127.0.0.1:1".parse().unwrap()), None);
        let mapped = address("0000000000000000FFFF00000100007F:1F2B").unwrap();
        assert!(same(mapped, local));
        assert_eq!(address("00000000000000000000000001000000:0050").unwrap(), "[::1]:80".parse().unwrap());
        assert_eq!(address("junk"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_connection_of_this_process_is_ours() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, remote) = listener.accept().unwrap();
        let peer = peer_of(server.local_addr().unwrap(), remote).unwrap();
        assert!(is_ours(peer.uid));
        drop(client);
    }

    #[tokio::test]
    async fn the_kernel_names_the_process_behind_a_unix_socket() {
        let (one, _other) = UnixStream::pair().unwrap();
        let peer = peer_process(&one).unwrap();
        assert!(is_ours(peer.uid));
        assert_eq!(peer.pid, Some(std::process::id()));
    }
}
