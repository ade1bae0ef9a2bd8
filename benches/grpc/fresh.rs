//! A load client whose every call asks for other ids, so that records come from memory and not from the caches.
//!
//! h2load sends one body again and again. This client writes the HTTP/2 frames itself, as h2load does: prior
//! knowledge, header fields indexed after the first call, several calls in flight per connection, one write for all
//! calls that can start. It is this executable, run again with `--load`.

use std::error::Error;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::load::{CONNECTIONS, SCORE_PATH, STREAMS, Sent};
use crate::population::{Random, framed, random_live_rooms, score_request};

/// The first argument that turns the executable into the load client.
pub(crate) const FLAG: &str = "--load";

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
/// The window every connection and stream starts with.
const FIRST_WINDOW: i64 = 65_535;
/// How much more the server may send on a connection, granted again when half of it is used.
const RECEIVE_WINDOW: u32 = 1 << 30;

/// Arguments: address, calls, targets per call, merchants, seed. Prints calls and bytes of answers.
pub(crate) fn run(words: impl Iterator<Item = String>) -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = words.collect();
    let [address, calls, targets, merchants, seed] = words.as_slice() else {
        return Err("the load client takes five arguments".into());
    };
    let address: SocketAddr = address.parse()?;
    let calls: u32 = calls.parse()?;
    let targets: usize = targets.parse()?;
    let merchants: u32 = merchants.parse()?;
    let seed: u64 = seed.parse()?;
    let threads: Vec<_> = (0..CONNECTIONS)
        .map(|number| {
            let share = calls / CONNECTIONS + u32::from(number < calls % CONNECTIONS);
            let random = Random::new(seed.wrapping_mul(0x1000).wrapping_add(u64::from(number)));
            std::thread::spawn(move || {
                let call = Calls { targets, merchants, random };
                Connection::open(address)
                    .and_then(|connection| connection.drive(share, call))
                    .map_err(|error| error.to_string())
            })
        })
        .collect();
    let mut sent = Sent::default();
    for thread in threads {
        let part = thread.join().map_err(|_| "a connection's thread panicked")??;
        sent.calls += part.calls;
        sent.answer_bytes += part.answer_bytes;
    }
    println!("{} {}", sent.calls, sent.answer_bytes);
    Ok(())
}

/// Makes the bodies.
struct Calls {
    targets: usize,
    merchants: u32,
    random: Random,
}

impl Calls {
    fn next_body(&mut self) -> Result<Vec<u8>, Box<dyn Error>> {
        framed(&score_request(random_live_rooms(self.merchants, self.targets, &mut self.random)))
    }
}

struct Connection {
    stream: TcpStream,
    authority: String,
    /// Bytes to write next.
    out: Vec<u8>,
    /// Bytes read and not yet understood.
    input: Vec<u8>,
    /// What may still be sent before the server grants more.
    send_window: i64,
    /// What was received since the last grant.
    received: u32,
    next_stream_id: u32,
    answered: Sent,
}

impl Connection {
    fn open(address: SocketAddr) -> Result<Self, Box<dyn Error>> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        let mut connection = Self {
            stream,
            authority: address.to_string(),
            out: PREFACE.to_vec(),
            input: Vec::new(),
            send_window: FIRST_WINDOW,
            received: 0,
            next_stream_id: 1,
            answered: Sent::default(),
        };
        // SETTINGS_INITIAL_WINDOW_SIZE (4): no stream ever has to wait for a grant.
        let [a, b, c, d] = RECEIVE_WINDOW.to_be_bytes();
        connection.frame(SETTINGS, 0, 0, &[0, 4, a, b, c, d])?;
        connection.frame(WINDOW_UPDATE, 0, 0, &RECEIVE_WINDOW.to_be_bytes())?;
        Ok(connection)
    }

    fn drive(mut self, calls: u32, mut bodies: Calls) -> Result<Sent, Box<dyn Error>> {
        let mut started = 0;
        let mut waiting = None;
        let mut chunk = vec![0; 64 * 1024];
        while self.answered.calls < calls {
            while started < calls && started - self.answered.calls < STREAMS {
                let body = waiting.take().map_or_else(|| bodies.next_body(), Ok)?;
                let length = i64::try_from(body.len())?;
                if length > self.send_window {
                    waiting = Some(body);
                    break;
                }
                self.send_window -= length;
                self.call(&body)?;
                started += 1;
            }
            self.stream.write_all(&self.out)?;
            self.out.clear();
            let read = self.stream.read(&mut chunk)?;
            if read == 0 {
                return Err("the server closed the connection".into());
            }
            self.input.extend(chunk.iter().take(read));
            self.understand()?;
        }
        Ok(self.answered)
    }

    /// Queues one call.
    fn call(&mut self, body: &[u8]) -> Result<(), Box<dyn Error>> {
        let id = self.next_stream_id;
        let headers = if id == 1 { first_headers(&self.authority)? } else { INDEXED_HEADERS.to_vec() };
        self.frame(HEADERS, END_HEADERS, id, &headers)?;
        self.frame(DATA, END_STREAM, id, body)?;
        self.next_stream_id += 2;
        Ok(())
    }

    fn frame(&mut self, kind: u8, flags: u8, stream_id: u32, payload: &[u8]) -> Result<(), Box<dyn Error>> {
        let [_, a, b, c] = u32::try_from(payload.len())?.to_be_bytes();
        self.out.extend([a, b, c, kind, flags]);
        self.out.extend(stream_id.to_be_bytes());
        self.out.extend(payload);
        Ok(())
    }

    /// Takes all whole frames out of what was read.
    fn understand(&mut self) -> Result<(), Box<dyn Error>> {
        let input = std::mem::take(&mut self.input);
        let mut rest = input.as_slice();
        while let Some((&[a, b, c, kind, flags, stream_id @ ..], after)) = rest.split_first_chunk::<9>() {
            let length = usize::try_from(u32::from_be_bytes([0, a, b, c]))?;
            let Some((payload, next)) = after.split_at_checked(length) else { break };
            self.take(kind, flags, u32::from_be_bytes(stream_id), payload)?;
            rest = next;
        }
        self.input = rest.to_vec();
        Ok(())
    }

    fn take(&mut self, kind: u8, flags: u8, stream_id: u32, payload: &[u8]) -> Result<(), Box<dyn Error>> {
        match kind {
            DATA => {
                let length = u32::try_from(payload.len())?;
                self.answered.answer_bytes += u64::from(length);
                self.received += length;
                if self.received > RECEIVE_WINDOW / 2 {
                    let grant = std::mem::take(&mut self.received);
                    self.frame(WINDOW_UPDATE, 0, 0, &grant.to_be_bytes())?;
                }
            }
            SETTINGS if flags & ACK == 0 => self.frame(SETTINGS, ACK, 0, &[])?,
            PING if flags & ACK == 0 => self.frame(PING, ACK, 0, payload)?,
            // A body is far smaller than a stream's window: only the connection's matters.
            WINDOW_UPDATE if stream_id == 0 => {
                let grant = payload.first_chunk::<4>().ok_or("a short WINDOW_UPDATE")?;
                self.send_window += i64::from(u32::from_be_bytes(*grant));
            }
            RST_STREAM => return Err("the server reset a stream".into()),
            GOAWAY => return Err("the server ended the connection".into()),
            _ => {}
        }
        if matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0 {
            self.answered.calls += 1;
        }
        Ok(())
    }
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
