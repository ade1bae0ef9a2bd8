//! The `trustflow` program: the server, and the client that operates it.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};
use trustflow::backtest_tool::{self, BacktestArgs};
use trustflow::backup_tool::{self, RestoreArgs, VerifyArgs};
use trustflow::boot::{self, Addresses};
use trustflow::cli::{self, ClientCommand};
use trustflow::config::{ServeArgs, Settings};
use trustflow::policy_tool;
use trustflow::telemetry;
use trustflow::token_tool::{self, TokenArgs};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Trust scores and support traffic for a live-stream e-commerce platform.
#[derive(Parser)]
#[command(name = "trustflow", version, about, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the server.
    Serve(Box<ServeArgs>),
    /// Replays a stream of requests against budgets, caps and guarantees
    Backtest(Box<BacktestArgs>),
    /// Static tokens for the tokens file of a server
    Token(Box<TokenArgs>),
    /// Makes a data folder of a backup, offline
    Restore(RestoreArgs),
    /// Checks a backup or a data folder, offline
    Verify(VerifyArgs),
    #[command(flatten)]
    Client(Box<ClientCommand>),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Serve(args) => serve(&args),
        Command::Backtest(args) => backtest_tool::run(*args).map_err(Into::into),
        Command::Token(args) => token_tool::run(*args).map_err(Into::into),
        Command::Restore(args) => say(backup_tool::restore(&args)),
        Command::Verify(args) => say(backup_tool::verify(&args)),
        Command::Client(command) => client(*command),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

type Outcome = Result<(), Box<dyn std::error::Error>>;

#[expect(clippy::print_stdout, reason = "what the caller wanted to know")]
fn say(result: Result<String, backup_tool::BackupToolError>) -> Outcome {
    println!("{}", result?);
    Ok(())
}

fn client(command: ClientCommand) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(cli::run(command, &policy_tool::client_side()))?)
}

#[expect(clippy::print_stdout, reason = "what the caller of `serve` reads")]
fn serve(args: &ServeArgs) -> Outcome {
    let settings = Settings::load(args)?;
    if args.print_config {
        print!("{}", settings.to_toml()?);
        return Ok(());
    }
    telemetry::start_logs(settings.log_format, &settings.log);
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if settings.worker_threads > 0 {
        runtime.worker_threads(settings.worker_threads);
    }
    let is_demo = settings.demo;
    let scheme = if settings.has_tls() { "https" } else { "http" };
    runtime.enable_all().build()?.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let shutdown = async move {
            tokio::select! {
                _ = terminate.recv() => {}
                // An error means that Ctrl-C cannot be listened for; SIGTERM still works.
                Ok(()) = tokio::signal::ctrl_c() => {}
            }
        };
        boot::serve(settings, |addresses| announce(addresses, scheme, is_demo), shutdown).await?;
        Ok(())
    })
}

#[expect(clippy::print_stdout, reason = "what the caller of `serve` reads")]
fn announce(addresses: Addresses, scheme: &str, is_demo: bool) {
    let Addresses { grpc, http } = addresses;
    println!("listening grpc={grpc} http={http}");
    if is_demo {
        println!("try next, in another terminal:");
        println!("  trustflow score --server {scheme}://{grpc} --scene live --kind live-room 1000010 1000020 1000180");
        println!("  trustflow explain --server {scheme}://{grpc} --scene live --kind merchant 2");
        println!("  trustflow status --server {scheme}://{grpc}");
    }
}
