//! The campaigns of the demo run now: their dates are moved in the policy text, and nothing else is.

use crate::domain::{Day, PolicyText};

/// Where programmes stand in a policy.
const FOLDER: &str = "programmes/";
/// The bytes of `"YYYY-MM-DD"`.
const QUOTED_DATE: usize = 12;

/// The policy with its dated programmes moved so that each is open on a day. A campaign is moved as a whole, to where
/// a third of it is over: what it says of the days before it began still has some. All dates of its file move by as
/// many days, those that expressions compare with included; comments stay as they are. A programme that has begun and
/// has no end, or a campaign that is on, is not touched.
#[must_use]
pub fn current(mut text: PolicyText, today: Day) -> PolicyText {
    let mut moved = false;
    for (_, content) in text.files.iter_mut().filter(|(path, _)| path.starts_with(FOLDER)) {
        let shift = shift_of(content, today);
        if shift != 0 {
            *content = shifted(content, shift);
            moved = true;
        }
    }
    if moved {
        text.source.push_str(", dates moved for the demo");
    }
    text
}

/// By how many days a programme is moved.
fn shift_of(content: &str, today: Day) -> i32 {
    let Some(first) = date_of(content, "first_day") else { return 0 };
    let Some(last) = date_of(content, "last_day") else { return today.days_since(first).min(0) };
    if (first..=last).contains(&today) {
        return 0;
    }
    today.days_since(first.plus(last.days_since(first) / 3))
}

/// The date that a key of the file holds.
fn date_of(content: &str, key: &str) -> Option<Day> {
    content.lines().find_map(|line| {
        let value = line.strip_prefix(key)?.trim_start().strip_prefix('=')?.trim_start().strip_prefix('"')?;
        Day::parse(value.get(..QUOTED_DATE - 2)?)
    })
}

/// The text with every quoted date outside comments moved.
fn shifted(content: &str, days: i32) -> String {
    let mut result = String::with_capacity(content.len());
    for line in content.split_inclusive('\n') {
        let mut rest = line;
        while let Some((before, found)) = rest.split_once('"').filter(|_| !line.starts_with('#')) {
            result.push_str(before);
            result.push('"');
            let date = found.get(..QUOTED_DATE - 1).and_then(|text| text.strip_suffix('"')).and_then(Day::parse);
            let Some(date) = date else {
                rest = found;
                continue;
            };
            result.push_str(&date.plus(days).to_string());
            result.push('"');
            rest = found.get(QUOTED_DATE - 1..).unwrap_or_default();
        }
        result.push_str(rest);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::{current, date_of};
    use crate::domain::{Day, PolicyText};

    fn day(text: &str) -> Day {
        Day::parse(text).expect("a date")
    }

    fn at(content: &str, today: &str) -> String {
        let file = ("programmes/a.toml".to_owned(), content.to_owned());
        let text = PolicyText { source: "embedded".to_owned(), files: vec![file] };
        current(text, day(today)).files.remove(0).1
    }

    const CAMPAIGN: &str = "# From \"2022-03-23\" on.\nname = \"x\"\nfirst_day = \"2022-03-23\" # a Wednesday\n\
        last_day = \"2022-03-31\"\nwhen = 'merchant.enrolled_on[\"x\"] >= \"2022-03-20\" && \"a\" in merchant.tags'\n";

    #[test]
    fn a_campaign_moves_as_a_whole_and_comments_stay() {
        let moved = at(CAMPAIGN, "2026-11-22");
        assert_eq!(
            moved,
            "# From \"2022-03-23\" on.\nname = \"x\"\nfirst_day = \"2026-11-20\" # a Wednesday\n\
             last_day = \"2026-11-28\"\nwhen = 'merchant.enrolled_on[\"x\"] >= \"2026-11-17\" && \"a\" in merchant.tags'\n"
        );
        assert_eq!(at(CAMPAIGN, "2022-03-31"), CAMPAIGN, "it is on");
        assert_eq!(date_of(&at(CAMPAIGN, "2019-01-01"), "first_day"), Some(day("2018-12-30")), "back as well");
    }

    #[test]
    fn what_has_no_end_only_begins_in_time() {
        let open = "first_day = \"2022-03-20\"\n";
        assert_eq!(at(open, "2026-11-22"), open);
        assert_eq!(at(open, "2018-01-01"), "first_day = \"2018-01-01\"\n");
        assert_eq!(at("name = \"2022-03-20\"\n", "2018-01-01"), "name = \"2022-03-20\"\n", "not dated");
    }
}
