//! As much of HTTP/2 as a load client needs: calls go out as prebuilt frames, answers are told apart by stream.
//!
//! Prior knowledge, header fields indexed after the first call, windows so large that no answer waits for a grant. A
//! library would cost the client's core more than the server spends.

use std::error::Error;

use crate::load::SCORE_PATH;

/// The window every connection and stream starts with.
pub(crate) const FIRST_WINDOW: i64 = 65_535;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// How much more the server may send on a connection, granted again when half of it is used.
const RECEIVE_WINDOW: u32 = 1 << 30;

/// What a client does something about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The call of this stream was answered.
    Answered(u32),
    /// So many more bytes may be sent.
    Granted(i64),
}

/// Writes the calls of one connection.
pub(crate) struct Calls {
    authority: String,
    next_stream_id: u32,
}

impl Calls {
    /// Begins a connection: the first bytes go to `out`.
    pub(crate) fn begin(authority: String, out: &mut Vec<u8>) -> Result<Self, Box<dyn Error>> {
        out.extend(PREFACE);
        // SETTINGS_INITIAL_WINDOW_SIZE (4): no stream ever has to wait for a grant.
        let [a, b, c, d] = RECEIVE_WINDOW.to_be_bytes();
        frame(out, SETTINGS, 0, 0, &[0, 4, a, b, c, d])?;
        frame(out, WINDOW_UPDATE, 0, 0, &RECEIVE_WINDOW.to_be_bytes())?;
        Ok(Self { authority, next_stream_id: 1 })
    }

    /// Adds one call. Streams are numbered 1, 3, 5 and so on.
    pub(crate) fn call(&mut self, body: &[u8], out: &mut Vec<u8>) -> Result<(), Box<dyn Error>> {
        let id = self.next_stream_id;
        let headers = if id == 1 { first_headers(&self.authority)? } else { INDEXED_HEADERS.to_vec() };
        frame(out, HEADERS, END_HEADERS, id, &headers)?;
        frame(out, DATA, END_STREAM, id, body)?;
        self.next_stream_id += 2;
        Ok(())
    }
}

/// Reads the answers of one connection.
#[derive(Default)]
pub(crate) struct Answers {
    /// Bytes read and not yet understood.
    input: Vec<u8>,
    /// What was received since the last grant.
    received: u32,
    /// Bytes of answers, with their gRPC prefixes.
    pub(crate) bytes: u64,
}

impl Answers {
    /// Takes all whole frames out of what was read. What the protocol wants answered goes to `out`.
    pub(crate) fn understand(
        &mut self,
        read: &[u8],
        out: &mut Vec<u8>,
        mut on: impl FnMut(Event),
    ) -> Result<(), Box<dyn Error>> {
        self.input.extend(read);
        let input = std::mem::take(&mut self.input);
        let mut rest = input.as_slice();
        while let Some((&[a, b, c, kind, flags, stream_id @ ..], after)) = rest.split_first_chunk::<9>() {
            let length = usize::try_from(u32::from_be_bytes([0, a, b, c]))?;
            let Some((payload, next)) = after.split_at_checked(length) else { break };
            let stream_id = u32::from_be_bytes(stream_id);
            if let Some(event) = self.take(kind, flags, stream_id, payload, out)? {
                on(event);
            }
            rest = next;
        }
        self.input = rest.to_vec();
        Ok(())
    }

    fn take(
        &mut self,
        kind: u8,
        flags: u8,
        stream_id: u32,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Option<Event>, Box<dyn Error>> {
        match kind {
            DATA => {
                let length = u32::try_from(payload.len())?;
                self.bytes += u64::from(length);
                self.received += length;
                if self.received > RECEIVE_WINDOW / 2 {
                    let grant = std::mem::take(&mut self.received);
                    frame(out, WINDOW_UPDATE, 0, 0, &grant.to_be_bytes())?;
                }
            }
            SETTINGS if flags & ACK == 0 => frame(out, SETTINGS, ACK, 0, &[])?,
            PING if flags & ACK == 0 => frame(out, PING, ACK, 0, payload)?,
            // A body is far smaller than a stream's window: only the connection's matters.
            WINDOW_UPDATE if stream_id == 0 => {
                let grant = payload.first_chunk::<4>().ok_or("a short WINDOW_UPDATE")?;
                return Ok(Some(Event::Granted(i64::from(u32::from_be_bytes(*grant)))));
            }
            RST_STREAM => return Err("the server reset a stream".into()),
            GOAWAY => return Err("the server ended the connection".into()),
            _ => {}
        }
        let ends = matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0;
        Ok(ends.then_some(Event::Answered(stream_id)))
    }
}

fn frame(out: &mut Vec<u8>, kind: u8, flags: u8, stream_id: u32, payload: &[u8]) -> Result<(), Box<dyn Error>> {
    let [_, a, b, c] = u32::try_from(payload.len())?.to_be_bytes();
    out.extend([a, b, c, kind, flags]);
    out.extend(stream_id.to_be_bytes());
    out.extend(payload);
    Ok(())
}

/// `:method POST`, `:scheme http`, then the four fields that `first_headers` put into the dynamic table (RFC 7541).
const INDEXED_HEADERS: [u8; 6] = [0x83, 0x86, 0xC1, 0xC0, 0xBF, 0xBE];

/// The same fields in full, each entered into the dynamic table.
fn first_headers(authority: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut block = vec![0x83, 0x86];
    for (name, value) in
        [(&[0x44_u8][..], SCORE_PATH), (&[0x41], authority), (&[0x5F], "application/grpc"), (b"\x40\x02te", "trailers")]
    {
        block.extend(name);
        block.push(u8::try_from(value.len())?);
        block.extend(value.as_bytes());
    }
    Ok(block)
}
