//! Brings the population onto the server, on a clock that stands still.

use tonic::Code;
use tonic::transport::Channel;
use trustflow::domain::Day;
use trustflow::proto::profile_service_client::ProfileServiceClient;
use trustflow::proto::{
    CloseDayRequest, FactColumns, HeldRight, ImportRequest, ImportResponse, SetRightsRequest, TargetKind,
};

use super::Outcome;
use super::population::{Member, Population, instant, providers};

/// Merchants of one chunk of profiles: each has five of them.
const PROFILE_CHUNK: usize = 1_000;
/// Rows of one chunk of facts.
const FACT_CHUNK: usize = 3_000;
/// Days before the first one that have facts: the windows of 7, 14, 30 and 90 days, and the 30 before the last 30.
const FACT_DAYS: [i32; 10] = [1, 2, 4, 8, 13, 20, 28, 35, 45, 70];

/// Imports everyone and everything known before the first day, and closes the day before the last: the last one closes
/// by itself at 06:00.
pub(crate) async fn load(channel: &Channel, population: &Population, first: Day) -> Outcome<()> {
    let mut chunks = vec![ImportRequest { service_providers: providers(), ..ImportRequest::default() }];
    chunks.extend(population.members.chunks(PROFILE_CHUNK).map(profiles));
    for back in FACT_DAYS {
        chunks.extend(population.members.chunks(FACT_CHUNK).map(|members| facts(members, first.plus(-back))));
    }
    for (chunk, sequence) in chunks.iter_mut().zip(1..) {
        "simulated-day".clone_into(&mut chunk.import_id);
        chunk.sequence = sequence;
    }
    let mut client = ProfileServiceClient::new(channel.clone());
    let ImportResponse { rejected_items, results, .. } = client.import(tokio_stream::iter(chunks)).await?.into_inner();
    if rejected_items > 0 {
        return Err(format!("the import refused {rejected_items} items, the first: {:?}", results.first()).into());
    }
    for member in population.members.iter().filter(|member| !member.rights().is_empty()) {
        client.set_rights(rights(member)).await?;
    }
    let date = first.plus(-2).to_string();
    match client.close_day(CloseDayRequest { request_id: "simulated-day".to_owned(), date }).await {
        // The server closes days by itself, too.
        Err(status) if status.code() != Code::FailedPrecondition => return Err(status.into()),
        _ => {}
    }
    Ok(())
}

fn profiles(members: &[Member]) -> ImportRequest {
    ImportRequest {
        merchants: members.iter().map(Member::profile).collect(),
        products: members.iter().flat_map(Member::products).collect(),
        live_rooms: members.iter().map(Member::live_room).collect(),
        short_videos: members.iter().map(Member::short_video).collect(),
        ..ImportRequest::default()
    }
}

fn facts(members: &[Member], day: Day) -> ImportRequest {
    let mut columns = FactColumns { target_kind: TargetKind::Merchant.into(), ..FactColumns::default() };
    for member in members {
        let cells = member.facts(day);
        if cells.is_empty() {
            continue;
        }
        columns.ids.push(member.id);
        columns.days.push(day.0);
        columns.cell_counts.push(cells.len() as u32);
        for (name, value) in cells {
            let known = columns.counter_names.iter().position(|counter| counter == name);
            let counter = known.unwrap_or(columns.counter_names.len());
            if known.is_none() {
                columns.counter_names.push(name.to_owned());
            }
            columns.counters.push(counter as u32);
            columns.values.push(value);
        }
    }
    ImportRequest { facts: Some(columns), ..ImportRequest::default() }
}

/// What a merchant holds since it opened.
pub(crate) fn rights(member: &Member) -> SetRightsRequest {
    let held = |right: &&str| HeldRight { right: (*right).to_owned(), from: Some(instant(member.opened)), until: None };
    SetRightsRequest {
        request_id: format!("rights-{}", member.id),
        merchant_id: member.id,
        rights: member.rights().iter().map(held).collect(),
    }
}
