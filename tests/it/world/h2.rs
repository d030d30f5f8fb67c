//! HTTP/2 by hand: a client that says what no library would let it say.

use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt as _;

use super::within;

/// A request as a list of fields, pseudo-header fields included, sent as they stand.
pub struct H2Case {
    /// Name and value of each field, in order.
    pub fields: Vec<(String, String)>,
    /// DATA that follows; none ends the stream with its HEADERS.
    pub data: Option<Vec<u8>>,
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

impl H2Case {
    /// `GET https://host/path`, then the changes.
    pub fn get(host: &str, path: &str) -> Self {
        let fields = [(":method", "GET"), (":scheme", "https"), (":authority", host), (":path", path)];
        Self { fields: fields.map(|(name, value)| (name.to_owned(), value.to_owned())).into(), data: None }
    }

    /// Another value for a field, or one more field.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        match self.fields.iter_mut().find(|(old, _)| name.starts_with(':') && old == name) {
            Some(field) => value.clone_into(&mut field.1),
            None => self.fields.push((name.to_owned(), value.to_owned())),
        }
        self
    }

    /// Without a field.
    pub fn without(mut self, name: &str) -> Self {
        self.fields.retain(|(old, _)| old != name);
        self
    }

    /// With a body.
    pub fn data(mut self, bytes: &[u8]) -> Self {
        self.data = Some(bytes.to_vec());
        self
    }

    /// Sends it on a fresh connection. The answer's status; 0 when the stream was reset or the connection closed.
    pub async fn send(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin) -> u16 {
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        bytes.extend(frame(SETTINGS, 0, 0, &[]));
        let block: Vec<u8> = self.fields.iter().flat_map(|(name, value)| literal(name, value)).collect();
        let end = if self.data.is_none() { END_STREAM } else { 0 };
        bytes.extend(frame(HEADERS, END_HEADERS | end, 1, &block));
        if let Some(data) = &self.data {
            bytes.extend(frame(DATA, END_STREAM, 1, data));
        }
        if stream.write_all(&bytes).await.is_err() || stream.flush().await.is_err() {
            return 0;
        }
        within("an HTTP/2 answer", async {
            loop {
                let Some((kind, flags, id, payload)) = read_frame(&mut stream).await else { return 0 };
                match kind {
                    HEADERS if id == 1 => return status(&payload),
                    RST_STREAM if id == 1 => return 0,
                    GOAWAY => return 0,
                    SETTINGS if flags & ACK == 0 => {
                        let _ = stream.write_all(&frame(SETTINGS, ACK, 0, &[])).await;
                        let _ = stream.flush().await;
                    }
                    _ => {}
                }
            }
        })
        .await
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

async fn read_frame(stream: &mut (impl AsyncRead + Unpin)) -> Option<(u8, u8, u32, Vec<u8>)> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.ok()?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
    let id = u32::from_be_bytes([head[5], head[6], head[7], head[8]]) & 0x7fff_ffff;
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload).await.ok()?;
    Some((head[3], head[4], id, payload))
}

/// A literal field without indexing, not Huffman-coded (RFC 7541 section 6.2.2).
fn literal(name: &str, value: &str) -> Vec<u8> {
    let mut bytes = vec![0];
    for text in [name, value] {
        if text.len() < 127 {
            bytes.push(u8::try_from(text.len()).unwrap());
        } else {
            bytes.push(127);
            let mut rest = text.len() - 127;
            while rest >= 128 {
                bytes.push(u8::try_from(rest % 128).unwrap() | 128);
                rest /= 128;
            }
            bytes.push(u8::try_from(rest).unwrap());
        }
        bytes.extend(text.bytes());
    }
    bytes
}

/// `:status` of a header block, which always comes first (RFC 7541 appendices A and B).
fn status(block: &[u8]) -> u16 {
    // A change of the dynamic table's size may stand before it.
    let start = block.iter().position(|byte| byte & 0xe0 != 0x20).unwrap();
    let block = &block[start..];
    match block[0] {
        0x88 => 200,
        0x89 => 204,
        0x8a => 206,
        0x8b => 304,
        0x8c => 400,
        0x8d => 404,
        0x8e => 500,
        0x48 | 0x08 | 0x18 => {
            let length = usize::from(block[1] & 0x7f);
            let value = &block[2..2 + length];
            let digits =
                if block[1] & 0x80 == 0 { String::from_utf8(value.to_vec()).unwrap() } else { huffman_digits(value) };
            digits.parse().unwrap_or_else(|_| panic!("`{digits}` is no status"))
        }
        other => panic!("no :status first, but {other:#x}"),
    }
}

fn huffman_digits(bytes: &[u8]) -> String {
    let bits: Vec<u8> = bytes.iter().flat_map(|byte| (0..8).rev().map(move |shift| byte >> shift & 1)).collect();
    let number = |bits: &[u8]| bits.iter().fold(0_u8, |sum, bit| sum << 1 | bit);
    let mut digits = String::new();
    let mut rest = &bits[..];
    while digits.len() < 3 {
        let (digit, width) = match number(&rest[..5]) {
            short @ 0..=2 => (short, 5),
            _ => (number(&rest[..6]) - 0x19 + 3, 6),
        };
        digits.push(char::from(b'0' + digit));
        rest = &rest[width..];
    }
    digits
}

#[test]
fn a_status_is_read_in_every_coding() {
    assert_eq!(status(&[0x88]), 200);
    assert_eq!(status(&[0x3f, 0x8c][1..]), 400);
    assert_eq!(status(&[0x48, 3, b'4', b'0', b'3']), 403);
    // 302 from RFC 7541 appendix C.6.1.
    assert_eq!(status(&[0x48, 0x82, 0x64, 0x02]), 302);
    // 307 from C.6.2.
    assert_eq!(status(&[0x48, 0x83, 0x64, 0x0e, 0xff]), 307);
}
