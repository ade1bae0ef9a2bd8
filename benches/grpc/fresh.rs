//! A load client whose every call asks for other ids, so that records come from memory and not from the caches.
//!
//! h2load sends one body again and again. This client keeps several calls in flight per connection as h2load does,
//! with one write for all calls that can start. It is this executable, run again with `--load`.

use std::error::Error;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::frames::{Answers, Calls, Event, FIRST_WINDOW};
use crate::load::{CONNECTIONS, STREAMS, Sent};
use crate::population::{Random, framed, random_live_rooms, score_request};

/// The first argument that turns the executable into the load client.
pub(crate) const FLAG: &str = "--load";

/// Arguments: address, calls, targets per call, live rooms, seed. Prints calls and bytes of answers.
pub(crate) fn run(words: impl Iterator<Item = String>) -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = words.collect();
    let [address, calls, targets, live_rooms, seed] = words.as_slice() else {
        return Err("the load client takes five arguments".into());
    };
    let sent = drive(address.parse()?, calls.parse()?, targets.parse()?, live_rooms.parse()?, seed.parse()?)?;
    println!("{} {}", sent.calls, sent.answer_bytes);
    Ok(())
}

/// Sends calls as fast as they are answered.
pub(crate) fn drive(
    address: SocketAddr,
    calls: u32,
    targets: usize,
    live_rooms: u32,
    seed: u64,
) -> Result<Sent, String> {
    let threads: Vec<_> = (0..CONNECTIONS)
        .map(|number| {
            let share = calls / CONNECTIONS + u32::from(number < calls % CONNECTIONS);
            let random = Random::new(seed.wrapping_mul(0x1000).wrapping_add(u64::from(number)));
            let bodies = Bodies { targets, live_rooms, random };
            std::thread::spawn(move || drive_one(address, share, bodies).map_err(|error| error.to_string()))
        })
        .collect();
    let mut sent = Sent::default();
    for thread in threads {
        let part = thread.join().map_err(|_| "a connection's thread panicked")??;
        sent.calls += part.calls;
        sent.answer_bytes += part.answer_bytes;
    }
    Ok(sent)
}

/// Makes the bodies.
struct Bodies {
    targets: usize,
    live_rooms: u32,
    random: Random,
}

impl Bodies {
    fn next(&mut self) -> Result<Vec<u8>, Box<dyn Error>> {
        framed(&score_request(random_live_rooms(self.live_rooms, self.targets, &mut self.random)))
    }
}

fn drive_one(address: SocketAddr, share: u32, mut bodies: Bodies) -> Result<Sent, Box<dyn Error>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let mut out = Vec::new();
    let mut calls = Calls::begin(address.to_string(), &mut out)?;
    let (mut answers, mut window) = (Answers::default(), FIRST_WINDOW);
    let (mut started, mut answered) = (0, 0);
    let mut waiting = None;
    let mut chunk = vec![0; 64 * 1024];
    while answered < share {
        while started < share && started - answered < STREAMS {
            let body = waiting.take().map_or_else(|| bodies.next(), Ok)?;
            let length = i64::try_from(body.len())?;
            if length > window {
                waiting = Some(body);
                break;
            }
            window -= length;
            calls.call(&body, &mut out)?;
            started += 1;
        }
        stream.write_all(&out)?;
        out.clear();
        let read = stream.read(&mut chunk)?;
        if read == 0 {
            return Err("the server closed the connection".into());
        }
        answers.understand(chunk.get(..read).unwrap_or_default(), &mut out, |event| match event {
            Event::Answered(_) => answered += 1,
            Event::Granted(more) => window += more,
        })?;
    }
    Ok(Sent { calls: answered, answer_bytes: answers.bytes })
}
