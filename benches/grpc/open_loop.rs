//! A load client with a constant rate: a call is sent when its time has come, whether or not earlier ones were answered.
//!
//! Latency counts from the time at which a call was meant to be sent. A client that waits for answers sends less while
//! the server stalls, and so hides the stall (coordinated omission); here every call that was due meanwhile counts.

use std::error::Error;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::clock::Stopwatch;
use crate::frames::{Answers, Calls, Event, FIRST_WINDOW};
use crate::load::CONNECTIONS;
use crate::population::{Random, framed, random_live_rooms, score_request};

/// Bodies of a connection, sent in turn: made before, so that making them delays no call.
const BODIES: u32 = 512;
/// Bytes that are written at once when many calls are due.
const WRITE: usize = 64 * 1_024;
/// How long the last answers may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);
/// Calls in flight on a connection, below the 256 that the server takes by default. Calls that are due wait here then,
/// and count as late.
const IN_FLIGHT: i64 = 240;
/// How often a connection that may not send looks whether it may.
const SEND_POLL: Duration = Duration::from_micros(50);
/// Bytes that an answer with data has at least: a refused call has none.
const LEAST_ANSWER: u64 = 20;

/// What to send.
#[derive(Clone, Copy)]
pub(crate) struct Rate {
    pub(crate) address: SocketAddr,
    /// Calls a second over all connections.
    pub(crate) per_second: f64,
    pub(crate) time: Duration,
    pub(crate) targets: usize,
    pub(crate) live_rooms: u32,
    pub(crate) seed: u64,
}

/// Latencies in nanoseconds, up to a minute, to three digits.
pub(crate) fn latencies() -> Result<Histogram<u64>, String> {
    Histogram::new_with_bounds(1_000, 60_000_000_000, 3).map_err(|error| error.to_string())
}

/// Sends at the rate and answers the latencies.
pub(crate) fn drive(rate: &Rate) -> Result<Histogram<u64>, String> {
    let mut connections = Vec::new();
    for number in 0..CONNECTIONS {
        connections.push(Connection::open(rate, number).map_err(|error| error.to_string())?);
    }
    let clock = Stopwatch::start();
    let parts: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> =
            connections.into_iter().map(|(of, calls)| scope.spawn(move || of.run(calls, clock))).collect();
        threads.into_iter().map(|thread| thread.join().map_err(|_| "a connection's thread panicked")).collect()
    });
    let mut all = latencies()?;
    for part in parts {
        all.add(part??).map_err(|error| error.to_string())?;
    }
    Ok(all)
}

/// One connection: a thread sends by the schedule, another reads answers.
struct Connection {
    /// The socket; the lock is for writes, which both threads do.
    stream: Mutex<TcpStream>,
    reader: TcpStream,
    bodies: Vec<Vec<u8>>,
    schedule: Schedule,
    /// Bytes that may be sent.
    window: AtomicI64,
    /// Calls that may be begun.
    permits: AtomicI64,
}

/// When calls are meant to be sent, as times since the start.
#[derive(Clone, Copy)]
struct Schedule {
    first: Duration,
    interval: Duration,
    calls: u32,
}

impl Schedule {
    fn of(rate: &Rate, number: u32) -> Self {
        let interval = Duration::from_secs_f64(f64::from(CONNECTIONS) / rate.per_second);
        // Connections take turns: together they send at even distances.
        let first = interval * number / CONNECTIONS;
        let calls = rate.time.as_nanos() / interval.as_nanos().max(1);
        Self { first, interval, calls: u32::try_from(calls).unwrap_or(u32::MAX).max(1) }
    }

    fn due(self, call: u32) -> Duration {
        self.first + self.interval * call
    }
}

impl Connection {
    fn open(rate: &Rate, number: u32) -> Result<(Self, Calls), Box<dyn Error>> {
        let mut stream = TcpStream::connect(rate.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_LIMIT))?;
        let mut out = Vec::new();
        let calls = Calls::begin(rate.address.to_string(), &mut out)?;
        stream.write_all(&out)?;
        let reader = stream.try_clone()?;
        let mut random = Random::new(rate.seed.wrapping_mul(0x1000).wrapping_add(u64::from(number)));
        let bodies = (0..BODIES)
            .map(|_| framed(&score_request(random_live_rooms(rate.live_rooms, rate.targets, &mut random))))
            .collect::<Result<_, _>>()?;
        let schedule = Schedule::of(rate, number);
        let (window, permits) = (AtomicI64::new(FIRST_WINDOW), AtomicI64::new(IN_FLIGHT));
        Ok((Self { stream: Mutex::new(stream), reader, bodies, schedule, window, permits }, calls))
    }

    fn run(&self, calls: Calls, clock: Stopwatch) -> Result<Histogram<u64>, String> {
        thread::scope(|scope| {
            let sender = scope.spawn(|| self.send(calls, clock).map_err(|error| error.to_string()));
            let received = self.receive(clock).map_err(|error| error.to_string());
            if received.is_err() {
                // Nothing will be granted any more: the sender must not wait for it.
                self.window.store(i64::MAX / 2, Ordering::Release);
                self.permits.store(i64::MAX / 2, Ordering::Release);
                let _ = self.reader.shutdown(Shutdown::Both);
            }
            let sent = sender.join().map_err(|_| "the sender panicked")?;
            let latencies = received?;
            sent.map(|()| latencies)
        })
    }

    fn send(&self, mut calls: Calls, clock: Stopwatch) -> Result<(), Box<dyn Error>> {
        let mut out = Vec::new();
        for (call, body) in (0..self.schedule.calls).zip(self.bodies.iter().cycle()) {
            let now = clock.elapsed();
            let due = self.schedule.due(call);
            if due > now {
                self.write(&mut out)?;
                thread::sleep(due.saturating_sub(now));
            }
            let length = i64::try_from(body.len())?;
            while self.window.load(Ordering::Acquire) < length || self.permits.load(Ordering::Acquire) < 1 {
                self.write(&mut out)?;
                thread::sleep(SEND_POLL);
            }
            self.window.fetch_sub(length, Ordering::AcqRel);
            self.permits.fetch_sub(1, Ordering::AcqRel);
            calls.call(body, &mut out)?;
            if out.len() >= WRITE {
                self.write(&mut out)?;
            }
        }
        self.write(&mut out)
    }

    fn receive(&self, clock: Stopwatch) -> Result<Histogram<u64>, Box<dyn Error>> {
        let mut latencies = latencies()?;
        let (mut answers, mut out, mut answered) = (Answers::default(), Vec::new(), 0);
        let mut chunk = vec![0; 64 * 1024];
        while answered < self.schedule.calls {
            let read = (&self.reader).read(&mut chunk)?;
            if read == 0 {
                return Err("the server closed the connection".into());
            }
            let now = clock.elapsed();
            answers.understand(chunk.get(..read).unwrap_or_default(), &mut out, |event| match event {
                Event::Answered(stream_id) => {
                    let took = now.saturating_sub(self.schedule.due(stream_id / 2));
                    latencies.saturating_record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
                    self.permits.fetch_add(1, Ordering::AcqRel);
                    answered += 1;
                }
                Event::Granted(more) => {
                    self.window.fetch_add(more, Ordering::AcqRel);
                }
            })?;
            self.write(&mut out)?;
        }
        if answers.bytes < u64::from(answered) * LEAST_ANSWER {
            return Err("calls were refused: the answers are empty".into());
        }
        Ok(latencies)
    }

    fn write(&self, out: &mut Vec<u8>) -> Result<(), Box<dyn Error>> {
        if !out.is_empty() {
            self.stream.lock().unwrap_or_else(PoisonError::into_inner).write_all(out)?;
            out.clear();
        }
        Ok(())
    }
}
