//! One decision as one line of JSON: first what `backtest` reads, then what was decided.

use serde::Serialize;

use super::{Answer, Decision};
use crate::traffic::SlotReason;

/// A line, in the order in which it is written.
#[derive(Serialize)]
struct Line<'a> {
    /// Decisions recorded by this run before it.
    t: u64,
    /// Milliseconds since 1970, UTC. Never before that of the line before.
    at: i64,
    /// Seconds since the first line of the file.
    sec: f64,
    items: Vec<u64>,
    merchants: Vec<u64>,
    score: Vec<f32>,
    value: Vec<f32>,
    mode: &'static str,
    scene: &'static str,
    kind: &'static str,
    #[serde(rename = "K", skip_serializing_if = "Option::is_none")]
    slots: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    slate: Option<Vec<Shown<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    adjusted: Option<Vec<f32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    programmes: Option<Vec<u64>>,
    excluded: Vec<u64>,
    policy_version: u64,
    revision: u64,
    epoch: u64,
    share: f64,
    request_id: &'a str,
}

/// A slot as it was filled.
#[derive(Serialize)]
struct Shown<'a> {
    /// Position among the candidates of the line.
    candidate: usize,
    item: u64,
    reason: &'static str,
    charged_programme: &'a str,
    programmes: u64,
    adjusted_score: f32,
    #[serde(skip_serializing_if = "Option::is_none")]
    reservation: Option<u64>,
}

/// Where a line stands among the others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Lines of this run before it.
    pub(super) number: u64,
    /// Milliseconds since 1970.
    pub(super) at_ms: i64,
    /// Seconds since the first line of the file.
    pub(super) second: f64,
    /// Share of the decisions that are recorded.
    pub(super) share: f64,
}

/// Appends a line, its end included. Excluded candidates could not be shown whatever happens, and so they are listed
/// apart: positions count the others.
pub(super) fn write(decision: &Decision, place: Place, out: &mut Vec<u8>) -> serde_json::Result<()> {
    let kept: Vec<bool> = decision.values.iter().map(Option::is_some).collect();
    let (slots, slate, adjusted, programmes) = match &decision.answer {
        Answer::Slate { slots, shown } => {
            let shown = shown.iter().map(|slot| Shown {
                candidate: kept.iter().take(slot.candidate).filter(|kept| **kept).count(),
                item: slot.target_id,
                reason: reason(slot.reason),
                charged_programme: &slot.charged_programme,
                programmes: slot.programmes,
                adjusted_score: slot.adjusted_score,
                reservation: slot.reservation.map(|id| id.0),
            });
            (Some(*slots), Some(shown.collect()), None, None)
        }
        Answer::Adjusted { scores, programmes } => {
            (None, None, Some(pick(&kept, scores)), Some(pick(&kept, programmes)))
        }
    };
    let line = Line {
        t: place.number,
        at: place.at_ms,
        sec: place.second,
        items: pick(&kept, &decision.items),
        merchants: pick(&kept, &decision.merchants),
        score: pick(&kept, &decision.bases),
        value: decision.values.iter().flatten().copied().collect(),
        mode: if slate.is_some() { "slate" } else { "adjusted" },
        scene: decision.scene.name(),
        kind: decision.kind.name(),
        slots,
        slate,
        adjusted,
        programmes,
        excluded: decision.items.iter().zip(&kept).filter(|(_, kept)| !**kept).map(|(item, _)| *item).collect(),
        policy_version: decision.policy_version,
        revision: decision.revision,
        epoch: decision.epoch,
        share: place.share,
        request_id: &decision.request_id,
    };
    serde_json::to_writer(&mut *out, &line)?;
    out.push(b'\n');
    Ok(())
}

fn pick<T: Copy>(kept: &[bool], column: &[T]) -> Vec<T> {
    column.iter().zip(kept).filter(|(_, kept)| **kept).map(|(value, _)| *value).collect()
}

fn reason(reason: SlotReason) -> &'static str {
    match reason {
        SlotReason::Organic => "organic",
        SlotReason::Support => "support",
        SlotReason::Guarantee => "guarantee",
        SlotReason::Fill => "fill",
    }
}

#[cfg(test)]
mod tests {
    use super::{Place, write};
    use crate::domain::{ReservationId, Scene, TargetKind, Timestamp};
    use crate::engine::SlateSlot;
    use crate::engine::decisions::{Answer, Decision};
    use crate::traffic::SlotReason;

    fn decision(answer: Answer) -> Decision {
        Decision {
            at: Timestamp(1_000),
            request_id: "r-\"1".to_owned(),
            scene: Scene::Live,
            kind: TargetKind::LiveRoom,
            policy_version: 4,
            revision: 5,
            epoch: 6,
            items: vec![10, 20, 30],
            merchants: vec![1, 2, 0],
            bases: vec![0.1, 2.0, 3.0],
            values: vec![Some(0.2), None, Some(f32::MAX)],
            answer,
        }
    }

    fn line(answer: Answer) -> String {
        let place = Place { number: 7, at_ms: 2_500, second: 1.5, share: 0.01 };
        let mut out = Vec::new();
        write(&decision(answer), place, &mut out).expect("written");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn a_slate_is_told_whole() {
        let slot = SlateSlot {
            candidate: 2,
            target_id: 30,
            adjusted_score: 1.25,
            reason: SlotReason::Support,
            charged_programme: "launch".to_owned(),
            reservation: Some(ReservationId(9)),
            programmes: 8,
        };
        assert_eq!(
            line(Answer::Slate { slots: 2, shown: vec![slot] }),
            concat!(
                r#"{"t":7,"at":2500,"sec":1.5,"items":[10,30],"merchants":[1,0],"score":[0.1,3.0],"#,
                r#""value":[0.2,3.4028235e+38],"mode":"slate","scene":"live","kind":"live_room","K":2,"#,
                r#""slate":[{"candidate":1,"item":30,"reason":"support","charged_programme":"launch","programmes":8,"#,
                r#""adjusted_score":1.25,"reservation":9}],"excluded":[20],"policy_version":4,"revision":5,"epoch":6,"#,
                r#""share":0.01,"request_id":"r-\"1"}"#,
                "\n"
            )
        );
    }

    #[test]
    fn adjusted_scores_are_told_by_candidate() {
        let told = line(Answer::Adjusted { scores: vec![1.0, f32::MIN, 2.0], programmes: vec![0, 0, 4] });
        assert!(told.contains(r#""mode":"adjusted","scene":"live","kind":"live_room","adjusted":[1.0,2.0],"programmes":[0,4],"excluded":[20]"#), "{told}");
    }
}
