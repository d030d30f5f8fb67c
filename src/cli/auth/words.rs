//! What `auth` says, of what the zone told.

use serde_json::Value;
use serde_json::json;

use crate::cli::auth::flows::Wish;
use crate::cli::auth::wallet::Held;
use crate::model::Timestamp;

/// Who signed in, and where.
pub(super) fn signed_in(told: &Value, issuer: &str) -> String {
    format!("signed in as {} at {issuer}", text(told, "preferred_username").or(text(told, "sub")).unwrap_or("somebody"))
}

/// Who is signed in, a line each for what is known.
pub(super) fn who(told: &Value, issuer: &str) -> String {
    let expires = told.get("exp").and_then(Value::as_i64).map(|exp| Timestamp::from_seconds(exp).to_string());
    let second = told.get("mfa_time").and_then(Value::as_i64).map(|at| Timestamp::from_seconds(at).to_string());
    let lines = [
        ("zone", Some(issuer)),
        ("user", text(told, "preferred_username").or(text(told, "sub"))),
        ("email", text(told, "email")),
        ("organisation", text(told, "organization")),
        ("role", text(told, "role")),
        ("scopes", text(told, "scope").filter(|scope| !scope.is_empty())),
        ("session", text(told, "sid")),
        ("expires", expires.as_deref()),
        ("second factor", second.as_deref()),
    ];
    let known = lines.into_iter().filter_map(|(name, value)| Some(format!("{name:<14}{}", value?)));
    known.collect::<Vec<_>>().join("\n")
}

/// What a person allowed.
pub(super) fn granted(wish: &Wish, held: &Held) -> String {
    let line = |resource: &String| format!("{resource}\n  {}", held.scope.as_deref().unwrap_or("no particular scope"));
    wish.resources.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The same for programs.
pub(super) fn granted_json(wish: &Wish, held: &Held) -> String {
    json!({ "zone": held.issuer, "resources": wish.resources, "scope": held.scope }).to_string()
}

fn text<'a>(told: &'a Value, name: &str) -> Option<&'a str> {
    told.get(name)?.as_str()
}
