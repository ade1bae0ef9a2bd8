//! Scenes, kinds and labels between the words people use and the wire.

use clap::ValueEnum;
use serde_json::Value;

use crate::proto::{Label, MerchantKind, Scene, TargetKind};

/// A scene as it is typed.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum SceneWord {
    /// Live rooms (直播)
    Live,
    /// Short videos (短视频)
    ShortVideo,
    /// Image-text posts (图文)
    ImageText,
    /// Search (搜索)
    Search,
    /// The mall channel (商城)
    Mall,
    /// A merchant's own store page (店铺)
    Store,
}

impl SceneWord {
    pub(super) fn wire(self) -> Scene {
        match self {
            Self::Live => Scene::Live,
            Self::ShortVideo => Scene::ShortVideo,
            Self::ImageText => Scene::ImageText,
            Self::Search => Scene::Search,
            Self::Mall => Scene::Mall,
            Self::Store => Scene::Store,
        }
    }
}

/// A kind of target as it is typed.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum KindWord {
    /// A live room (直播间)
    LiveRoom,
    /// A product (商品)
    Product,
    /// A merchant (商家)
    Merchant,
    /// A short video (短视频)
    ShortVideo,
}

impl KindWord {
    pub(super) fn wire(self) -> TargetKind {
        match self {
            Self::LiveRoom => TargetKind::LiveRoom,
            Self::Product => TargetKind::Product,
            Self::Merchant => TargetKind::Merchant,
            Self::ShortVideo => TargetKind::ShortVideo,
        }
    }
}

/// A kind of target as files write it: `live_room`, `TARGET_KIND_LIVE_ROOM`.
pub(super) fn parse_target_kind(text: &str) -> Option<TargetKind> {
    let name = text.to_ascii_uppercase().replace('-', "_");
    TargetKind::from_str_name(&name).or_else(|| TargetKind::from_str_name(&format!("TARGET_KIND_{name}")))
}

/// A kind of merchant as files write it: `brand`, `MERCHANT_KIND_BRAND`.
pub(super) fn parse_merchant_kind(text: &str) -> Option<MerchantKind> {
    let name = text.to_ascii_uppercase().replace('-', "_");
    MerchantKind::from_str_name(&name).or_else(|| MerchantKind::from_str_name(&format!("MERCHANT_KIND_{name}")))
}

/// The kind of a merchant in lower case, `unspecified` included.
pub(super) fn merchant_kind_word(kind: MerchantKind) -> String {
    kind.as_str_name().trim_start_matches("MERCHANT_KIND_").to_ascii_lowercase()
}

/// The labels in a bit set.
pub(super) fn label_words(bits: u32) -> Vec<String> {
    let set = (0..u32::BITS).map(|bit| 1_u32 << bit).filter(|label| bits & label != 0);
    set.map(|label| match i32::try_from(label).ok().and_then(|label| Label::try_from(label).ok()) {
        Some(label) => label.as_str_name().trim_start_matches("LABEL_").to_ascii_lowercase().replace('_', " "),
        None => format!("label {label}"),
    })
    .collect()
}

/// The positions of the bits set in a programme mask.
pub(super) fn programme_bits(mask: u64) -> Vec<u32> {
    (0..u64::BITS).filter(|bit| mask & (1_u64 << bit) != 0).collect()
}

/// Words with commas, `-` for none.
pub(super) fn listed(words: &[String]) -> String {
    if words.is_empty() { "-".to_owned() } else { words.join(", ") }
}

/// An f32 as JSON with the fewest digits that read back as the same f32.
pub(super) fn short_float(value: f32) -> Value {
    value.to_string().parse::<f64>().map_or(Value::Null, Value::from)
}

/// A 64-bit id as JSON text, since many readers of JSON keep numbers as f64.
pub(super) fn id_json(id: u64) -> Value {
    Value::from(id.to_string())
}

#[cfg(test)]
mod tests {
    use super::{label_words, parse_target_kind, programme_bits, short_float};
    use crate::proto::TargetKind;

    #[test]
    fn bits_read_as_words() {
        assert_eq!(label_words(2 | 64), ["trust purchase", "penalised"]);
        assert_eq!(label_words(1 << 20), ["label 1048576"]);
        assert!(label_words(0).is_empty());
        assert_eq!(programme_bits(0b1001 | 1 << 63), [0, 3, 63]);
    }

    #[test]
    fn kinds_read_in_both_spellings() {
        for text in ["live_room", "live-room", "TARGET_KIND_LIVE_ROOM"] {
            assert_eq!(parse_target_kind(text), Some(TargetKind::LiveRoom), "{text}");
        }
        assert_eq!(parse_target_kind("shop"), None);
    }

    #[test]
    fn floats_keep_their_short_form() {
        assert_eq!(short_float(1.1).to_string(), "1.1");
        assert!(short_float(f32::NAN).is_null());
    }
}
