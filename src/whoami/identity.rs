//! What a verified token says about who is calling.

use serde::Deserialize;
use serde::Serialize;

use crate::model::Timestamp;

/// The claims that are read. The registered ones were checked before.
#[derive(Deserialize)]
pub(super) struct Claims {
    iss: String,
    sub: String,
    exp: serde_json::Number,
    client_id: Option<String>,
    client_name: Option<String>,
    preferred_username: Option<String>,
    sid: Option<String>,
    jti: Option<String>,
    scope: Option<Scope>,
    scp: Option<Scope>,
    act: Option<Actor>,
}

/// What the caller is told.
#[derive(Debug, Serialize)]
pub(super) struct Identity {
    user: String,
    agent: Option<String>,
    session: Option<String>,
    scopes: Vec<String>,
    client_id: Option<String>,
    resource: String,
    token: Token,
    act: Option<Actor>,
}

#[derive(Debug, Serialize)]
struct Token {
    issuer: String,
    expires_in: i64,
    jti: Option<String>,
}

/// Who acts for the user, and through whom (RFC 8693 §4.1). Members that this API has no word for are not repeated.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Actor {
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    act: Option<Box<Actor>>,
}

/// A list in one string (RFC 9068) or in several (`scp` of some issuers).
#[derive(Deserialize)]
#[serde(untagged)]
enum Scope {
    Line(String),
    List(Vec<String>),
}

impl Claims {
    /// Names for people where the token has them, ids where not.
    pub(super) fn identity(self, resource: &str, now: Timestamp) -> Identity {
        let expires = self.exp.as_i64().unwrap_or_else(|| now.as_seconds());
        let agent = self.act.as_ref().and_then(|actor| actor.name.clone());
        Identity {
            user: self.preferred_username.unwrap_or(self.sub),
            agent: agent.or(self.client_name).or_else(|| self.client_id.clone()),
            session: self.sid,
            scopes: self.scope.or(self.scp).map(Scope::into_list).unwrap_or_default(),
            client_id: self.client_id,
            resource: resource.to_owned(),
            token: Token { issuer: self.iss, expires_in: (expires - now.as_seconds()).max(0), jti: self.jti },
            act: self.act,
        }
    }
}

impl Scope {
    fn into_list(self) -> Vec<String> {
        match self {
            Self::Line(line) => line.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned).collect(),
            Self::List(list) => list,
        }
    }
}
