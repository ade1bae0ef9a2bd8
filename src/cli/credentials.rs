//! `admin tokens`: who may call, as a table and as JSON.

use serde_json::{Value, json};

use super::table::{Side, Table};
use super::time::instant_text;
use crate::proto::{Credential, CredentialKind, ListCredentialsResponse, Role};

/// A table of credentials, and below it what each role opens.
pub(super) fn text(answer: &ListCredentialsResponse) -> String {
    let mut text = if answer.authentication {
        let heads = ["identity", "kind", "subject", "roles", "expires"];
        let mut table = Table::new(&heads.map(|head| (head, Side::Left)));
        for credential in &answer.credentials {
            let cells = [
                credential.identity.clone(),
                kind(credential).to_owned(),
                credential.subject.clone(),
                roles(credential).join(", "),
                expires(credential),
            ];
            table.row(cells.into());
        }
        table.text()
    } else {
        "no authentication: everybody who reaches the server may call everything\n".to_owned()
    };
    for role in &answer.roles {
        let methods: Vec<String> = role.methods.iter().map(|method| format!("  {method}\n")).collect();
        text.extend(["\n", name(role.role()), " opens\n", &methods.concat()]);
    }
    text.push_str("\nadmin opens all of these\n");
    text
}

/// The same for programs.
pub(super) fn json(answer: &ListCredentialsResponse) -> Value {
    let credentials = answer.credentials.iter().map(|credential| {
        json!({
            "identity": credential.identity, "kind": kind(credential), "subject": credential.subject,
            "roles": roles(credential), "expired": credential.expired,
            "expires_at": credential.expires_at.as_ref().map(|time| instant_text(Some(time))),
        })
    });
    let roles = answer.roles.iter().map(|role| json!({"role": name(role.role()), "methods": role.methods}));
    json!({
        "authentication": answer.authentication,
        "credentials": credentials.collect::<Vec<_>>(), "roles": roles.collect::<Vec<_>>(),
    })
}

fn kind(credential: &Credential) -> &'static str {
    match credential.kind() {
        CredentialKind::Unspecified => "?",
        CredentialKind::Token => "token",
        CredentialKind::Certificate => "certificate",
        CredentialKind::Jwt => "jwt",
    }
}

fn roles(credential: &Credential) -> Vec<&'static str> {
    credential.roles().map(name).collect()
}

fn expires(credential: &Credential) -> String {
    match &credential.expires_at {
        None => "never".to_owned(),
        Some(time) if credential.expired => format!("EXPIRED {}", instant_text(Some(time))),
        Some(time) => instant_text(Some(time)),
    }
}

fn name(role: Role) -> &'static str {
    match role {
        Role::Unspecified => "?",
        Role::Scorer => "scorer",
        Role::Ingester => "ingester",
        Role::Viewer => "viewer",
        Role::Operator => "operator",
        Role::Admin => "admin",
    }
}
