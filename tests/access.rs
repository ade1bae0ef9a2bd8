//! Who may call what: every method, by every role, with every kind of credential; identities in writes, and tokens that
//! come and go.

mod common;

use std::fmt::Write as _;

use common::access::{
    AUDIENCE, ISSUER, Issuer, ROLES, call, call_as, claims, claims_with, eventually, jwks, methods, seconds_from_now,
    series, token_entry, write,
};
use common::calls::merchant;
use common::process::get;
use common::{NOW, Server, refusal};
use serde_json::{Value, json};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::{Code, Request};
use trustflow::proto::{
    BatchUpsertMerchantsRequest, CredentialKind, ListCredentialsRequest, ListPolicyVersionsRequest,
    PublishPolicyRequest, Role, SetKillSwitchRequest,
};

/// The role that a service is for.
fn role_of(service: &str) -> &'static str {
    match service {
        "ScoringService" | "ExposureService" => "scorer",
        "ProfileService" => "ingester",
        "InsightService" => "viewer",
        "PolicyService" | "ProgrammeService" => "operator",
        "AdminService" => "admin",
        other => unreachable!("{other}: say here, and in `auth/methods.rs`, which role opens it"),
    }
}

/// A server that takes tokens `tok-ROLE` and JWTs; `old-ROLE` have expired.
async fn serve(issuer: &Issuer) -> (Server, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut text = String::new();
    for role in ROLES {
        text += &token_entry(role, &format!("tok-{role}"), &[role], "");
        text += &token_entry(&format!("old-{role}"), &format!("old-{role}"), &[role], "expires = 2020-01-01T00:00:00Z");
    }
    // A second token of the same caller, as while tokens are changed.
    text += &token_entry("ingester", "next-ingester", &["ingester"], "");
    let tokens = write(folder.path(), "tokens.toml", &text);
    let keys = write(folder.path(), "jwks.json", &jwks(&[issuer]));
    let server = Server::start_with(NOW, |settings| {
        settings.tokens = Some(tokens);
        settings.jwks = Some(keys);
        settings.jwt_issuer = Some(ISSUER.to_owned());
        settings.jwt_audience = Some(AUDIENCE.to_owned());
        settings.credentials_watch_ms = 20;
    });
    (server.await, folder)
}

#[tokio::test]
async fn every_method_by_every_role_with_every_credential() {
    let issuer = Issuer::new("k1");
    let (server, _folder) = serve(&issuer).await;
    let stranger = Issuer::new("k1");
    let channel = &server.client.channel;
    let methods = methods();
    assert!(methods.len() > 60, "the whole API");
    let mut problems = String::new();
    let mut check = |what: &str, path: &str, answer: &common::Refusal, code: Code, reason: &str| {
        if (answer.code, answer.reason.as_str()) != (code, reason) {
            let _ = writeln!(problems, "{path} with {what}: {answer:?}, not {reason}");
        }
    };
    let passed = std::cell::Cell::new(0);
    for (path, service) in &methods {
        let answer = call(channel, path, &[]).await;
        check("no credentials", path, &answer, Code::Unauthenticated, "CREDENTIALS_MISSING");
        for role in ROLES {
            let bad = stranger.sign(&claims("eve", &[role]));
            for bad in ["tok-unknown", bad.as_str()] {
                let answer = call_as(channel, path, bad).await;
                check("bad credentials", path, &answer, Code::Unauthenticated, "CREDENTIALS_INVALID");
            }
            let mut expired = claims("ann", &[role]);
            expired["exp"] = json!(seconds_from_now(-3_600));
            for expired in [format!("old-{role}"), issuer.sign(&expired)] {
                let answer = call_as(channel, path, &expired).await;
                check("expired credentials", path, &answer, Code::Unauthenticated, "CREDENTIALS_EXPIRED");
            }
            for good in [format!("tok-{role}"), issuer.sign(&claims("ann", &[role]))] {
                let answer = call_as(channel, path, &good).await;
                if role == role_of(service) || role == "admin" {
                    let is_denied = matches!(answer.code, Code::Unauthenticated | Code::PermissionDenied);
                    assert!(!is_denied, "{path} by {role}: {answer:?}");
                    passed.set(passed.get() + 1);
                } else {
                    check(role, path, &answer, Code::PermissionDenied, "ROLE_MISSING");
                }
            }
        }
    }
    assert!(problems.is_empty(), "{problems}");
    assert!(passed.get() > 2 * methods.len(), "the right roles pass");
    server.stop().await;
}

#[tokio::test]
async fn beside_the_api_health_is_open_and_nothing_else() {
    let (server, _folder) = serve(&Issuer::new("k1")).await;
    let channel = &server.client.channel;
    let reflection = |version| format!("/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo");
    assert_eq!(call(channel, "/grpc.health.v1.Health/Check", &[]).await.code, Code::Ok);
    for version in ["v1", "v1alpha"] {
        call(channel, &reflection(version), &[]).await.is_plain(Code::Unauthenticated, "CREDENTIALS_MISSING");
        let answer = call_as(channel, &reflection(version), "tok-scorer").await;
        assert!(!matches!(answer.code, Code::Unauthenticated | Code::PermissionDenied), "{answer:?}");
    }
    for path in ["/trustflow.v1.AdminService/Nothing", "/x.Y/Z", "/trustflow.v1.ScoringService/"] {
        call(channel, path, &[]).await.is_plain(Code::Unauthenticated, "CREDENTIALS_MISSING");
        call_as(channel, path, "tok-admin").await.is_plain(Code::PermissionDenied, "ROLE_MISSING");
    }
    let score = "/trustflow.v1.ScoringService/Score";
    for headers in
        [&["Basic dG9rOg=="][..], &["Bearer"], &["Bearer "], &["tok-scorer"], &["Bearer tok-scorer", "Bearer x"]]
    {
        call(channel, score, headers).await.is_plain(Code::Unauthenticated, "CREDENTIALS_INVALID");
    }
    let long = "x".repeat(9_000);
    call_as(channel, score, &long).await.is_plain(Code::Unauthenticated, "CREDENTIALS_INVALID");
    assert_eq!(call(channel, score, &["bearer  tok-scorer"]).await.code, Code::InvalidArgument, "passed the gate");
    server.stop().await;
}

#[tokio::test]
async fn a_jwt_is_taken_for_what_it_proves() {
    let issuer = Issuer::new("k1");
    let (server, _folder) = serve(&issuer).await;
    let channel = &server.client.channel;
    let rules = "/trustflow.v1.InsightService/GetRules";

    let good = [
        claims("ann", &["viewer"]),
        claims("ann", &["viewer", "of-another-service"]),
        claims_with("roles", json!("scorer viewer")),
        claims_with("aud", json!(["other", AUDIENCE])),
        claims_with("nbf", json!(seconds_from_now(-10))),
        // The issuer's clock may be a little behind.
        claims_with("exp", json!(seconds_from_now(-5))),
    ];
    for claims in &good {
        let answer = call_as(channel, rules, &issuer.sign(claims)).await;
        assert_eq!(answer.code, Code::Ok, "{claims}: {answer:?}");
    }
    for roles in [json!([]), json!("operator"), json!({"viewer": true}), json!(7), Value::Null] {
        let token = issuer.sign(&claims_with("roles", roles));
        call_as(channel, rules, &token).await.is_plain(Code::PermissionDenied, "ROLE_MISSING");
    }

    let bad = [
        ("issuer", claims_with("iss", json!("https://other.test"))),
        ("issuers", claims_with("iss", json!([ISSUER, "https://other.test"]))),
        ("no issuer", claims_with("iss", Value::Null)),
        ("audience", claims_with("aud", json!("other"))),
        ("no audience", claims_with("aud", Value::Null)),
        ("no expiry", claims_with("exp", Value::Null)),
        ("expiry as text", claims_with("exp", json!("never"))),
        ("not yet", claims_with("nbf", json!(seconds_from_now(3_600)))),
        ("not yet as text", claims_with("nbf", json!("soon"))),
        ("no subject", claims_with("sub", Value::Null)),
        ("empty subject", claims_with("sub", json!(""))),
        ("long subject", claims_with("sub", json!("x".repeat(200)))),
        ("control characters", claims_with("sub", json!("a\nb"))),
    ];
    for (what, claims) in &bad {
        let answer = call_as(channel, rules, &issuer.sign(claims)).await;
        assert_eq!((answer.code, answer.reason.as_str()), (Code::Unauthenticated, "CREDENTIALS_INVALID"), "{what}");
    }

    let right = claims("ann", &["viewer"]);
    let token = issuer.sign(&right);
    let parts: Vec<&str> = token.split('.').collect();
    let other = issuer.sign(&claims("eve", &["admin"]));
    let others: Vec<&str> = other.split('.').collect();
    let none = issuer.sign_as(&json!({"alg": "none", "kid": "k1"}), &right);
    let forged = [
        ("another key of the same name", Issuer::new("k1").sign(&right)),
        ("another key", Issuer::new("k2").sign(&right)),
        ("claims of another token", format!("{}.{}.{}", parts[0], others[1], parts[2])),
        ("no signature", format!("{}.{}.", parts[0], parts[1])),
        ("alg none", none.clone()),
        ("alg none without a signature", none.rsplit_once('.').expect("parts").0.to_owned() + "."),
        ("alg HS256, the public key as the secret", issuer.sign_as(&json!({"alg": "HS256", "kid": "k1"}), &right)),
        ("another algorithm", issuer.sign_as(&json!({"alg": "ES384", "kid": "k1"}), &right)),
        ("critical extensions", issuer.sign_as(&json!({"alg": "ES256", "kid": "k1", "crit": ["x"]}), &right)),
        ("half a token", parts[..2].join(".")),
        ("nothing", "..".to_owned()),
    ];
    for (what, token) in &forged {
        let answer = call_as(channel, rules, token).await;
        assert_eq!((answer.code, answer.reason.as_str()), (Code::Unauthenticated, "CREDENTIALS_INVALID"), "{what}");
        assert!(!answer.message.contains(token.as_str()), "{what}");
    }
    server.stop().await;
}

#[tokio::test]
async fn keys_of_an_issuer_change_without_a_restart() {
    let (old, new) = (Issuer::new("k1"), Issuer::new("k2"));
    let (server, folder) = serve(&old).await;
    let channel = &server.client.channel;
    let rules = "/trustflow.v1.InsightService/GetRules";
    let right = claims("ann", &["viewer"]);
    let (by_old, by_new) = (old.sign(&right), new.sign(&right));
    assert_eq!(call_as(channel, rules, &by_old).await.code, Code::Ok);
    call_as(channel, rules, &by_new).await.is_plain(Code::Unauthenticated, "CREDENTIALS_INVALID");

    write(folder.path(), "jwks.json", &jwks(&[&old, &new]));
    eventually("the new key", async || call_as(channel, rules, &by_new).await.code == Code::Ok).await;
    assert_eq!(call_as(channel, rules, &by_old).await.code, Code::Ok);

    write(folder.path(), "jwks.json", &jwks(&[&new]));
    // On the connection that has seen it checked.
    eventually("the end of the old key", async || call_as(channel, rules, &by_old).await.code == Code::Unauthenticated)
        .await;
    assert_eq!(call_as(channel, rules, &by_new).await.code, Code::Ok);

    let mut private = new.jwk();
    private["d"] = json!("c2VjcmV0");
    let shared = json!({"kty": "oct", "kid": "k2", "k": "c2VjcmV0"});
    let refused = [
        json!({"keys": [private]}).to_string(),
        json!({"keys": [new.jwk(), shared]}).to_string(),
        "{}".to_owned(),
        "[".to_owned(),
        json!({"keys": []}).to_string(),
    ];
    for text in &refused {
        let count = async || {
            let metrics = get(server.addresses.http, "/metrics").await.1;
            series(&metrics, "trustflow_credential_reloads_total")[r#"{file="jwks",outcome="refused"}"#]
        };
        let before = count().await;
        write(folder.path(), "jwks.json", text);
        eventually(text, async || count().await > before).await;
        assert_eq!(call_as(channel, rules, &by_new).await.code, Code::Ok, "the last good file stays: {text}");
    }
    server.stop().await;
}

#[tokio::test]
async fn tokens_come_and_go_without_a_restart() {
    let (server, folder) = serve(&Issuer::new("k1")).await;
    let channel = &server.client.channel;
    let score = "/trustflow.v1.ScoringService/Score";
    assert_eq!(call_as(channel, score, "tok-scorer").await.code, Code::InvalidArgument, "passed the gate");

    write(folder.path(), "tokens.toml", &token_entry("other", "tok-other", &["scorer"], ""));
    eventually("the new token", async || call_as(channel, score, "tok-other").await.code == Code::InvalidArgument)
        .await;
    call_as(channel, score, "tok-scorer").await.is_plain(Code::Unauthenticated, "CREDENTIALS_INVALID");

    write(folder.path(), "tokens.toml", "[[token]]\nname = \"broken\"\n");
    let problem = async || {
        let metrics = get(server.addresses.http, "/metrics").await.1;
        series(&metrics, "trustflow_credential_problem")[r#"{file="tokens"}"#]
    };
    eventually("the problem", async || problem().await > 0.5).await;
    assert_eq!(call_as(channel, score, "tok-other").await.code, Code::InvalidArgument, "the last good file stays");
    std::fs::remove_file(folder.path().join("tokens.toml")).expect("removed");
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    assert_eq!(call_as(channel, score, "tok-other").await.code, Code::InvalidArgument, "and without any file");
    write(folder.path(), "tokens.toml", &token_entry("again", "tok-again", &["scorer"], ""));
    eventually("the mended file", async || problem().await < 0.5).await;
    assert_eq!(call_as(channel, score, "tok-again").await.code, Code::InvalidArgument);
    server.stop().await;
}

/// A request of somebody.
fn by<T>(token: &str, message: T) -> Request<T> {
    let header: MetadataValue<Ascii> = format!("Bearer {token}").parse().expect("ASCII");
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", header);
    request
}

#[tokio::test]
async fn a_write_is_kept_under_the_identity_of_its_caller() {
    let issuer = Issuer::new("k1");
    let (server, _folder) = serve(&issuer).await;
    let (mut profiles, mut policies) = (server.client.profiles.clone(), server.client.policies.clone());

    let upsert = |id| BatchUpsertMerchantsRequest {
        request_id: "r1".to_owned(),
        merchants: vec![merchant(id)],
        ..BatchUpsertMerchantsRequest::default()
    };
    let ann = issuer.sign(&claims("ann", &["ingester"]));
    let first = profiles.batch_upsert_merchants(by("tok-ingester", upsert(1))).await.expect("taken").into_inner();
    for token in ["tok-ingester", "next-ingester"] {
        let again = profiles.batch_upsert_merchants(by(token, upsert(1))).await.expect("taken").into_inner();
        assert_eq!(first.revision, again.revision, "the same caller, the same request, by {token}");
    }
    let other = profiles.batch_upsert_merchants(by(&ann, upsert(2))).await.expect("taken").into_inner();
    assert!(other.revision > first.revision, "another caller has request ids of its own");
    let reused = refusal(profiles.batch_upsert_merchants(by(&ann, upsert(3))).await);
    reused.is_plain(Code::AlreadyExists, "REQUEST_ID_REUSED");

    let operator = issuer.sign(&claims("bob", &["operator"]));
    for (said, kept) in [("", "jwt:bob"), ("release 7", "release 7 (jwt:bob)")] {
        let files = trustflow::policy::embedded().files.into_iter().map(|(path, text)| {
            // Every text is another, so that every one is published.
            let text = if path == "score.toml" { format!("{text}\n# {said}\n") } else { text };
            trustflow::proto::PolicyFile { path, content: text }
        });
        let publish =
            PublishPolicyRequest { files: files.collect(), author: said.to_owned(), ..PublishPolicyRequest::default() };
        policies.publish_policy(by(&operator, publish)).await.expect("published");
        let list = by(&operator, ListPolicyVersionsRequest { page_size: 100, ..ListPolicyVersionsRequest::default() });
        let versions = policies.list_policy_versions(list).await.expect("listed").into_inner().versions;
        assert!(versions.iter().any(|version| version.author == kept), "{kept}: {versions:?}");
    }

    let switch = SetKillSwitchRequest { on: true, reason: "x".to_owned(), ..SetKillSwitchRequest::default() };
    refusal(policies.set_kill_switch(by("tok-viewer", switch)).await).is_plain(Code::PermissionDenied, "ROLE_MISSING");
    let metrics = get(server.addresses.http, "/metrics").await.1;
    assert!(series(&metrics, "trustflow_kill_switch")[""] < 0.5, "what is denied changes nothing");
    let calls = series(&metrics, "trustflow_auth_calls_total");
    assert!(calls[r#"{identity="jwt"}"#] >= 7.0 && calls[r#"{identity="token:ingester"}"#] >= 2.0, "{calls:?}");
    assert!(!metrics.contains("jwt:"), "subjects are no labels");
    assert!(series(&metrics, "trustflow_auth_denied_total")[r#"{reason="role"}"#] >= 1.0);
    server.stop().await;
}

#[tokio::test]
async fn an_admin_sees_who_may_call_and_no_secret() {
    let (server, folder) = serve(&Issuer::new("k1")).await;
    let request = by("tok-admin", ListCredentialsRequest {});
    let answer = server.client.admin.clone().list_credentials(request).await.expect("listed").into_inner();
    assert!(answer.authentication);
    let found = |identity: &str| answer.credentials.iter().find(|one| one.identity == identity).expect(identity);
    assert_eq!(found("token:viewer").roles, [i32::from(Role::Viewer)]);
    assert!(!found("token:viewer").expired && found("token:viewer").expires_at.is_none());
    assert!(found("token:old-viewer").expired);
    assert_eq!((found("jwt").kind(), found("jwt").subject.as_str()), (CredentialKind::Jwt, ISSUER));
    assert_eq!(answer.roles.len(), ROLES.len());
    let opened: usize = answer.roles.iter().map(|role| role.methods.len()).sum();
    assert_eq!(opened, methods().len(), "every method is opened by one role");
    let text = std::fs::read_to_string(folder.path().join("tokens.toml")).expect("there");
    let hashes = text.lines().filter_map(|line| line.strip_prefix("sha256 = "));
    let shown = format!("{answer:?}");
    assert!(hashes.clone().count() == 11 && hashes.into_iter().all(|hash| !shown.contains(hash.trim_matches('"'))));
    server.stop().await;
}

#[tokio::test]
async fn without_credentials_to_ask_for_everybody_on_the_machine_may_call() {
    let server = Server::start().await;
    let channel = &server.client.channel;
    for token in ["", "Bearer whatever"] {
        let headers = if token.is_empty() { vec![] } else { vec![token] };
        assert_eq!(call(channel, "/trustflow.v1.AdminService/GetStatus", &headers).await.code, Code::Ok);
    }
    let answer = server.client.admin.clone().list_credentials(ListCredentialsRequest {}).await.expect("listed");
    assert!(!answer.get_ref().authentication && answer.get_ref().credentials.is_empty());
    server.stop().await;
}
