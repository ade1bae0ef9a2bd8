//! Settings are read, overridden and refused.

use super::{ServeArgs, Settings};

#[test]
fn printed_settings_read_back() {
    let settings = Settings { demo: true, now: Some("2018-06-04T00:00:00Z".to_owned()), ..Settings::default() };
    let text = settings.to_toml().expect("toml");
    assert_eq!(toml::from_str::<Settings>(&text).expect("settings"), settings);
}

#[test]
fn a_public_address_needs_insecure() {
    let args = ServeArgs { listen: "0.0.0.0:1".parse().ok(), ..ServeArgs::default() };
    let error = Settings::load(&args).expect_err("refused").to_string();
    assert!(error.contains("--insecure"), "{error}");
    let args = ServeArgs { insecure: Some(true), ..args };
    assert!(Settings::load(&args).is_ok());
}

#[test]
fn a_share_is_above_0_and_1_at_most() {
    for (share, is_good) in [(0.0, false), (-0.1, false), (f64::NAN, false), (1.1, false), (1.0, true), (1e-6, true)] {
        let args = ServeArgs { record_share: Some(share), ..ServeArgs::default() };
        assert_eq!(Settings::load(&args).is_ok(), is_good, "{share}");
    }
}

#[test]
fn a_wrong_setting_is_named_with_its_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("trustflow.toml");
    std::fs::write(&file, "demo = true\nlisten_on = \"x\"\n").expect("written");
    let args = ServeArgs { config: Some(file), ..ServeArgs::default() };
    let error = Settings::load(&args).expect_err("refused").to_string();
    assert!(error.contains("line 2") && error.contains("listen_on"), "{error}");
}
