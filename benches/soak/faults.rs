//! Those who do harm: bad requests, bytes that are no HTTP/2, connections that stall or are cut, calls that are given up,
//! and more calls than the server takes on.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tonic::transport::Channel;
use tonic::{Code, Request};
use trustflow::proto::profile_service_client::ProfileServiceClient;
use trustflow::proto::scoring_service_client::ScoringServiceClient;
use trustflow::proto::{GetMerchantRequest, ScoreRequest};

use crate::day::chance::Chance;
use crate::reads::score_request;
use crate::site::{Site, repeat};

/// Calls a second that the server takes on: an overload asks for more.
pub(crate) const MAX_CALLS_PER_SECOND: &str = "1000";
/// Callers of an overload, how long it lasts, and how often it comes.
const CROWD: u64 = 48;
const CROWD_LASTS: Duration = Duration::from_secs(4);
const CROWD_EVERY: Duration = Duration::from_secs(25);
/// Connections that stall at a time, and how long they are kept.
const STALLED: usize = 20;
const STALLED_FOR: Duration = Duration::from_secs(8);

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// Everyone who does harm.
pub(crate) fn begin(site: &Arc<Site>, tasks: &mut JoinSet<()>) {
    let mut chance = Chance::new(7, 0);
    tasks.spawn(repeat(site.clone(), Duration::from_millis(100), async move |site, channel| {
        ask_wrongly(site, channel, &mut chance).await;
    }));
    let mut chance = Chance::new(8, 0);
    tasks.spawn(repeat(site.clone(), Duration::from_millis(100), async move |site, channel| {
        give_up(site, channel, &mut chance).await;
    }));
    let mut chance = Chance::new(9, 0);
    tasks.spawn(repeat(site.clone(), Duration::from_millis(200), async move |site, _| cut(site, &mut chance).await));
    tasks.spawn(repeat(site.clone(), Duration::from_secs(1), async |site, _| stall(site).await));
    tasks.spawn(overload(site.clone()));
}

async fn ask_wrongly(site: &Site, channel: Channel, chance: &mut Chance) {
    let began = site.moment();
    let request = ScoreRequest { target_ids: vec![1; chance.below(1_100) as usize], ..ScoreRequest::default() };
    let answer = ScoringServiceClient::new(channel.clone()).score(request).await;
    if site.judge("bad Score", began, answer, &[Code::InvalidArgument]).is_some() {
        site.wrong("bad Score", "was answered");
    }
    let request = GetMerchantRequest { merchant_id: 1, min_revision: 0 };
    let answer = ProfileServiceClient::new(channel).get_merchant(request).await;
    if site.judge("GetMerchant of nobody", began, answer, &[Code::NotFound]).is_some() {
        site.wrong("GetMerchant of nobody", "was answered");
    }
}

/// A call whose time is over at once, and one that nobody waits for.
async fn give_up(site: &Site, channel: Channel, chance: &mut Chance) {
    let mut client = ScoringServiceClient::new(channel);
    let mut request = Request::new(score_request(site, chance));
    request.set_timeout(Duration::from_nanos(1));
    let began = site.moment();
    let answer = client.score(request).await;
    site.judge("Score out of time", began, answer, &[Code::DeadlineExceeded, Code::Cancelled]);
    let call = client.score(score_request(site, chance));
    // What comes of it is not looked at.
    let _ = tokio::time::timeout(Duration::from_micros(chance.below(2_000)), call).await;
    site.count("Score that is given up", "sent");
}

/// Bytes of all kinds, and the end of the connection in the middle.
async fn cut(site: &Site, chance: &mut Chance) {
    let Ok(mut stream) = TcpStream::connect(site.place().grpc).await else { return };
    let noise: Vec<u8> = (0..chance.below(2_000)).map(|_| chance.roll().to_le_bytes()[0]).collect();
    let bytes = match chance.below(4) {
        0 => noise,
        1 => b"GET / HTTP/1.1\r\nHost: t\r\n\r\n".to_vec(),
        2 => [PREFACE, &noise].concat(),
        // The headers of a call, a message that is not whole, and no more.
        _ => [PREFACE, b"\0\0\x03\x01\x04\0\0\0\x01\x83\x86\x84\0\0\x05\0\0\0\0\0\x01\0\0\0\x10\0"].concat(),
    };
    // The server may have ended it already.
    let _ = stream.write_all(&bytes).await;
    let _ = tokio::time::timeout(Duration::from_millis(50), stream.read(&mut [0; 256])).await;
    site.count("connections", "cut");
}

/// Connections that say nothing, or stop in their first words.
async fn stall(site: &Site) {
    let mut held = Vec::new();
    for number in 0..STALLED {
        if let Ok(mut stream) = TcpStream::connect(site.place().grpc).await {
            let said = &PREFACE[..PREFACE.len() * (number % 3) / 2];
            if stream.write_all(said).await.is_ok() {
                held.push(stream);
                site.count("connections", "stalled");
            }
        }
    }
    site.rest(STALLED_FOR).await;
}

/// More calls than the server takes on, for a while, again and again.
async fn overload(site: Arc<Site>) {
    while !site.is_over() {
        site.rest(CROWD_EVERY).await;
        let Some(channel) = site.connect().await else { continue };
        site.turn_crowd();
        let mut callers = JoinSet::new();
        for number in 0..CROWD {
            let (site, channel) = (site.clone(), channel.clone());
            callers.spawn(async move {
                let mut chance = Chance::new(10, number);
                let mut client = ScoringServiceClient::new(channel);
                let call = async {
                    while !site.is_over() && !site.is_down() {
                        let began = site.moment();
                        // Short ones, of which many can be sent.
                        let mut request = score_request(&site, &mut chance);
                        request.base_scores.clear();
                        request.target_ids.truncate(1);
                        let answer = client.score(request).await;
                        site.judge("Score in an overload", began, answer, &[Code::ResourceExhausted]);
                    }
                };
                // Ends in the middle of a call.
                let _ = tokio::time::timeout(CROWD_LASTS, call).await;
            });
        }
        while callers.join_next().await.is_some() {}
        // The rate is at rest again after a moment.
        tokio::time::sleep(Duration::from_millis(500)).await;
        site.turn_crowd();
    }
}
