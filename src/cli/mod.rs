//! The command line client. It talks gRPC only: what it can do, every caller of the API can do.

mod allocate;
mod audit;
mod backup;
mod client;
mod credentials;
mod error;
mod explain;
mod explain_json;
mod explain_text;
mod exposure;
mod facts;
mod governance;
mod import;
mod input;
mod merchant;
mod operate;
pub mod orders;
mod out;
mod policy;
mod policy_text;
mod products;
mod programme;
mod programme_json;
mod programme_text;
mod score;
mod simulation;
mod table;
mod time;
mod trust_purchase;
mod validate;
mod words;

pub use self::client::Target;
pub use self::error::{CliError, Place};
pub use self::policy::PolicyFolder;

/// The commands that talk to a running server.
#[derive(Debug, clap::Subcommand)]
pub enum ClientCommand {
    /// What runs and in which state
    Status(StatusArgs),
    /// Trust scores and boost weights of some targets
    Score(ScoreCommand),
    /// The slate of one request: which candidates to show, and what they are charged to
    Allocate(AllocateCommand),
    /// Merchants whose guarantee falls behind, for retrieval to bring in
    Underserved(UnderservedCommand),
    /// Why a target has its score and weight
    Explain(ExplainCommand),
    /// Whether a shop, product or live room holds Trust Purchase (信任购), and what is missing
    TrustPurchase(TrustPurchaseCommand),
    /// Search products
    Products(ProductsCommand),
    /// Read and write merchants
    Merchant(MerchantCommand),
    /// Import facts that are counted already
    Facts(FactsCommand),
    /// Report exposures that were delivered
    Exposure(ExposureCommand),
    /// Import order items, counting them into facts
    Orders(OrdersCommand),
    /// Record and revoke violations
    Violation(ViolationCommand),
    /// Set the rights a merchant holds
    Rights(RightsCommand),
    /// Close a day, so that windows end with it
    CloseDay(CloseDayCommand),
    /// Validate, publish, compare and roll back policies; the kill switch
    Policy(PolicyCommand),
    /// Run support programmes (扶持计划): budgets, pace, members, pauses
    Programme(ProgrammeCommand),
    /// Merchants' own packages of exposures (流量资源包)
    Package(PackageCommand),
    /// When a budget will be spent or a guarantee met
    Forecast(ForecastCommand),
    /// Operate the server
    Admin(AdminCommand),
    /// Back up the running server into a file
    Backup(BackupCommand),
}

macro_rules! command {
    ($name:ident, $part:ident: $inner:ty, $attribute:ident, $doc:literal) => {
        #[doc = $doc]
        #[derive(Debug, clap::Args)]
        pub struct $name {
            #[command(flatten)]
            target: Target,
            #[command($attribute)]
            $part: $inner,
        }
    };
}

/// `status`.
#[derive(Debug, clap::Args)]
pub struct StatusArgs {
    #[command(flatten)]
    target: Target,
}

/// `score`.
#[derive(Debug, clap::Args)]
#[command(subcommand_negates_reqs = true)]
pub struct ScoreCommand {
    #[command(flatten)]
    target: Target,
    #[command(subcommand)]
    action: Option<ScoreAction>,
    #[command(flatten)]
    args: Option<score::ScoreArgs>,
}

/// What else can be done with scores.
#[derive(Debug, clap::Subcommand)]
enum ScoreAction {
    /// How well scores of earlier days foretold what came after them
    Validate(validate::ValidateArgs),
}

command!(AllocateCommand, args: allocate::AllocateArgs, flatten, "`allocate`.");
command!(UnderservedCommand, args: allocate::UnderservedArgs, flatten, "`underserved`.");
command!(ExplainCommand, args: explain::ExplainArgs, flatten, "`explain`.");
command!(TrustPurchaseCommand, action: trust_purchase::TrustPurchaseAction, subcommand, "`trust-purchase`.");
command!(ProductsCommand, action: products::ProductsAction, subcommand, "`products`.");
command!(MerchantCommand, action: merchant::MerchantAction, subcommand, "`merchant`.");
command!(FactsCommand, action: facts::FactsAction, subcommand, "`facts`.");
command!(ExposureCommand, action: exposure::ExposureAction, subcommand, "`exposure`.");
command!(OrdersCommand, action: orders::OrdersAction, subcommand, "`orders`.");
command!(ViolationCommand, action: governance::ViolationAction, subcommand, "`violation`.");
command!(RightsCommand, action: governance::RightsAction, subcommand, "`rights`.");
command!(CloseDayCommand, args: operate::CloseDayArgs, flatten, "`close-day`.");
command!(PolicyCommand, action: policy::PolicyAction, subcommand, "`policy`.");
command!(ProgrammeCommand, action: programme::ProgrammeAction, subcommand, "`programme`.");
command!(PackageCommand, action: programme::PackageAction, subcommand, "`package`.");
command!(ForecastCommand, action: programme::ForecastAction, subcommand, "`forecast`.");
command!(AdminCommand, action: operate::AdminAction, subcommand, "`admin`.");
command!(BackupCommand, args: backup::BackupArgs, flatten, "`backup`.");

/// Reads a file as `facts import` does and sends nothing: what fuzzing feeds.
///
/// # Errors
/// What is wrong, with file and line.
#[doc(hidden)]
pub fn check_facts_file(file: &str) -> Result<(), CliError> {
    facts::read(file, None).map(drop)
}

/// Reads a file as `merchant upsert` does and sends nothing: what fuzzing feeds.
///
/// # Errors
/// What is wrong, with file and line.
#[doc(hidden)]
pub fn check_merchants_file(file: &str) -> Result<(), CliError> {
    merchant::read(file).map(drop)
}

/// Runs a client command: results go to stdout, remarks and progress to stderr.
///
/// # Errors
/// What was wrong, where, and what to do, in words for the person at the terminal.
pub async fn run(command: ClientCommand, folder: &PolicyFolder) -> Result<(), CliError> {
    match command {
        ClientCommand::Status(StatusArgs { target }) => operate::status(&target).await,
        ClientCommand::Score(ScoreCommand { target, action: Some(ScoreAction::Validate(args)), .. }) => {
            validate::run(&args, &target).await
        }
        ClientCommand::Score(ScoreCommand { target, args: Some(args), .. }) => score::run(args, &target).await,
        // The parser asks for targets unless there is an action.
        ClientCommand::Score(_) => Err(CliError::argument("ID", "no targets given".to_owned())),
        ClientCommand::Allocate(AllocateCommand { target, args }) => allocate::allocate(args, &target).await,
        ClientCommand::Underserved(UnderservedCommand { target, args }) => allocate::underserved(args, &target).await,
        ClientCommand::Explain(ExplainCommand { target, args }) => explain::run(args, &target).await,
        ClientCommand::TrustPurchase(TrustPurchaseCommand { target, action }) => {
            trust_purchase::run(action, &target).await
        }
        ClientCommand::Products(ProductsCommand { target, action }) => products::run(action, &target).await,
        ClientCommand::Merchant(MerchantCommand { target, action }) => merchant::run(action, &target).await,
        ClientCommand::Facts(FactsCommand { target, action }) => facts::run(action, &target).await,
        ClientCommand::Exposure(ExposureCommand { target, action }) => exposure::run(action, &target).await,
        ClientCommand::Orders(OrdersCommand { target, action }) => orders::run(action, &target).await,
        ClientCommand::Violation(ViolationCommand { target, action }) => governance::violation(action, &target).await,
        ClientCommand::Rights(RightsCommand { target, action }) => governance::rights(action, &target).await,
        ClientCommand::CloseDay(CloseDayCommand { target, args }) => operate::close_day(args, &target).await,
        ClientCommand::Policy(PolicyCommand { target, action }) => policy::run(action, &target, folder).await,
        ClientCommand::Programme(ProgrammeCommand { target, action }) => programme::run(action, &target).await,
        ClientCommand::Package(PackageCommand { target, action }) => programme::package(action, &target).await,
        ClientCommand::Forecast(ForecastCommand { target, action }) => programme::forecast(action, &target).await,
        ClientCommand::Admin(AdminCommand { target, action }) => operate::admin(action, &target).await,
        ClientCommand::Backup(BackupCommand { target, args }) => backup::run(&args, &target).await,
    }
}

#[cfg(test)]
mod tests {
    use super::ClientCommand;
    use clap::{CommandFactory, Parser};

    #[derive(Debug, Parser)]
    struct Program {
        #[command(subcommand)]
        command: ClientCommand,
    }

    #[test]
    fn the_commands_are_well_formed() {
        Program::command().debug_assert();
    }

    #[test]
    fn server_and_json_are_taken_anywhere() {
        for line in [
            "t status --server http://h:1 --json",
            "t merchant --json get 5 --server http://h:1",
            "t merchant get 5",
            "t merchant list --limit 10",
            "t merchant upsert --file -",
            "t score --scene live --kind merchant 1 2 3 --base-score 0.5 --base-score 1 --base-score 2",
            "t score --scene mall --kind live-room --base-score 0.5,1 1 2",
            "t score validate --from 2018-01-01 --to 2018-06-04 --every 14d --horizon 30d --outcome bad_orders --json",
            "t score --json validate --from 2018-01-01 --to 2018-06-04",
            "t allocate --scene live --kind live-room --slots 2 --fill --base-score 0.5,1,2 1 2 3",
            "t underserved --scene mall --limit 10 --json",
            "t explain --scene search --kind product 77",
            "t trust-purchase status --product 7 --as-promoter 5 --json",
            "t trust-purchase status --merchant 5",
            "t trust-purchase status --live-room 9",
            "t products search 真丝连衣裙 --merchant 5",
            "t facts import facts.jsonl.gz",
            "t orders import items.jsonl.gz --as-of 2018-06-04 --sellers sellers.jsonl",
            "t violation record 9 --merchant 5 --type ban --occurred-at 2024-01-01T00:00:00+08:00",
            "t violation revoke 9 --merchant 5",
            "t rights set 5 seven_day_return fake_one_pay_ten@2024-01-01..2025-01-01",
            "t rights set 5 --none",
            "t close-day 2018-06-03",
            "t policy check policy/default",
            "t policy validate p --json",
            "t policy publish p --etag 7 --at 2024-01-01 --author me --comment why",
            "t policy list --limit 5",
            "t policy get",
            "t policy get 3 --out p",
            "t policy diff 1 p",
            "t policy rollback 2 --reason bad",
            "t policy kill-switch on --reason incident --author ann",
            "t policy kill-switch off",
            "t programme list --full --json",
            "t programme show kuai_brand",
            "t programme members kuai_brand --only capped-out --limit 5 --from 7",
            "t programme pause kuai_brand --reason incident --author ann --etag 7",
            "t programme resume kuai_brand --reason over",
            "t programme adjust kuai_brand --scene mall --exposures 5 --reason less",
            "t programme adjust kuai_brand --reset --reason back",
            "t package grant 5 1000 --reason reward --expires-at 2024-01-01",
            "t package assign 5 short-video 100",
            "t package release 5 mall 100 --json",
            "t package list 5",
            "t forecast programme kuai_brand --scene mall",
            "t forecast guarantee new_merchant_launch 5",
            "t admin advance-clock 2018-06-04",
            "t admin accept-time",
            "t admin state-hash",
            "t admin audit --merchant 5 --from 2023-01-01 --bulk --limit 10",
            "t admin audit --subject policy/3 --identity token:a --method PublishPolicy --format jsonl --oldest-first",
            "t admin tokens --json --server https://h:1 --ca a.pem --cert b.pem --key c.pem --token-file t",
            "t status --token tfk_1 --plaintext",
            "t backup today.backup --json",
        ] {
            let parsed = Program::try_parse_from(line.split(' '));
            assert!(parsed.is_ok(), "{line}: {parsed:?}");
        }
        for line in [
            "t trust-purchase status",
            "t trust-purchase status --product 7 --merchant 5",
            "t trust-purchase status --merchant 7 --as-promoter 5",
            "t status --cert a.pem",
            "t score",
            "t score --scene live --kind merchant",
            "t score validate",
            "t allocate --scene live --kind merchant --slots 1 5",
            "t rights set 5",
            "t rights set 5 a --none",
            "t merchant upsert",
            "t programme pause kuai_brand",
            "t programme adjust kuai_brand --reason x",
            "t programme adjust kuai_brand --reason x --reset --exposures 5",
            "t forecast guarantee new_merchant_launch",
            "t admin audit --merchant 5 --subject merchant/5",
        ] {
            assert!(Program::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}
