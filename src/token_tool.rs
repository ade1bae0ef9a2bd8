//! `token new`: makes a static token. It needs no server: the server keeps the hash only.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use crate::auth::{Role, check_name, new_token};

/// `token`.
#[derive(Debug, clap::Args)]
pub struct TokenArgs {
    #[command(subcommand)]
    action: TokenAction,
}

#[derive(Debug, clap::Subcommand)]
enum TokenAction {
    /// Make a token: its entry for the tokens file goes to stdout, the token to stderr or a file
    New(NewArgs),
}

#[derive(Debug, clap::Args)]
struct NewArgs {
    /// Who will use it: what logs and metrics call the caller
    #[arg(value_parser = |name: &str| check_name(name).map(|()| name.to_owned()))]
    name: String,
    /// What the caller may do: scorer, ingester, viewer, operator or admin; may be repeated
    #[arg(long = "role", required = true, value_parser = role)]
    roles: Vec<Role>,
    /// When it ends, e.g. 2027-01-01T00:00:00+08:00; never if left out
    #[arg(long, value_name = "TIME")]
    expires: Option<jiff::Timestamp>,
    /// Write the token into this new file, which only its owner can read
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

fn role(name: &str) -> Result<Role, String> {
    Role::named(name).ok_or_else(|| format!("roles are {}", Role::names()))
}

/// Runs `token`.
///
/// # Errors
/// When no token can be made, or the file cannot be written.
#[expect(clippy::print_stdout, reason = "what goes into the tokens file")]
pub fn run(args: TokenArgs) -> std::io::Result<()> {
    let TokenAction::New(NewArgs { name, roles, expires, out }) = args.action;
    let made = new_token()?;
    match out {
        Some(path) => {
            let mut file = std::fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)
                .map_err(|cause| std::io::Error::new(cause.kind(), format!("{}: {cause}", path.display())))?;
            writeln!(file, "{}", made.token)?;
        }
        None => eprintln!("the token, which is shown only now: {}", made.token),
    }
    let roles: Vec<String> = roles.iter().map(|role| format!("{:?}", role.name())).collect();
    println!("[[token]]\nname = {name:?}\nsha256 = \"{}\"\nroles = [{}]", made.sha256, roles.join(", "));
    if let Some(expires) = expires {
        println!("expires = {expires}");
    }
    Ok(())
}
