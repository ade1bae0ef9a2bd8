//! Compiles the protos with protox: a fresh machine needs no protoc.

use std::error::Error;
use std::path::PathBuf;

use prost_build::Config;

const PUBLIC: &[&str] = &[
    "trustflow/v1/admin_service.proto",
    "trustflow/v1/exposure_service.proto",
    "trustflow/v1/insight_service.proto",
    "trustflow/v1/policy_service.proto",
    "trustflow/v1/profile_service.proto",
    "trustflow/v1/programme_service.proto",
    "trustflow/v1/scoring_service.proto",
];
const SCORING: &str = "ScoringService";
const STORAGE: &[&str] = &[
    "trustflow/storage/v1/allocation.proto",
    "trustflow/storage/v1/backup.proto",
    "trustflow/storage/v1/storage.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    println!("cargo:rerun-if-changed=policy/default");
    // `just models`: the unit tests are built over loom's atomics.
    println!("cargo:rerun-if-env-changed=TRUSTFLOW_LOOM");
    println!("cargo:rustc-check-cfg=cfg(trustflow_loom)");
    if std::env::var_os("TRUSTFLOW_LOOM").is_some() {
        println!("cargo:rustc-cfg=trustflow_loom");
    }
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);

    let public = protox::compile(PUBLIC, ["proto"])?;
    std::fs::write(out.join("trustflow_descriptor.bin"), prost::Message::encode_to_vec(&public))?;
    // The service of the hot path has a codec of its own: its code is generated apart, over the same messages.
    let (mut scoring, mut others) = (public.clone(), public);
    for file in &mut others.file {
        file.service.retain(|service| service.name() != SCORING);
    }
    for file in &mut scoring.file {
        file.service.retain(|service| service.name() == SCORING);
    }
    let mut config = Config::new();
    config.extern_path(".google.rpc", "::tonic_types::pb").btree_map(["."]);
    tonic_prost_build::configure().compile_fds_with_config(others, config)?;
    let apart = out.join("scoring");
    std::fs::create_dir_all(&apart)?;
    tonic_prost_build::configure()
        .out_dir(apart)
        .extern_path(".google.rpc", "::tonic_types::pb")
        .extern_path(".trustflow.v1", "crate::proto")
        .codec_path("crate::wire::ScoringCodec")
        .compile_fds(scoring)?;

    let storage = protox::compile(STORAGE, ["proto"])?;
    Config::new().compile_fds(storage)?;
    Ok(())
}
