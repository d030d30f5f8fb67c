//! Where a zone's endpoints are: RFC 8414, with the OpenID Connect spelling as a second try.

use bytes::Bytes;
use hyper::Response;
use hyper::StatusCode;

use crate::credential::NotObtained;
use crate::credential::endpoint::Endpoint;
use crate::credential::not_obtained::server_words;
use crate::http::Client;

/// What is needed of a zone's metadata.
#[derive(Clone, Debug)]
pub(super) struct Metadata {
    pub(super) token: Endpoint,
    pub(super) registration: Option<Endpoint>,
}

/// Reads the metadata of `issuer` and checks that it is its own.
pub(super) async fn discover(client: &Client, issuer: &str) -> Result<Metadata, NotObtained> {
    let [first, second] = documents(issuer)?;
    if let Some(document) = read(&first.get(client).await?) {
        return document.check(issuer, &first);
    }
    match read(&second.get(client).await?) {
        Some(document) => document.check(issuer, &second),
        None => Err(second.unusable("it has no metadata document at either well-known place")),
    }
}

#[derive(serde::Deserialize)]
struct Document {
    issuer: String,
    token_endpoint: Option<String>,
    registration_endpoint: Option<String>,
}

impl Document {
    /// RFC 8414 §3.3: the document is the issuer's own, or someone mixes servers up.
    fn check(self, issuer: &str, from: &Endpoint) -> Result<Metadata, NotObtained> {
        if self.issuer.trim_end_matches('/') != issuer.trim_end_matches('/') {
            let named = server_words(&self.issuer, &[]);
            return Err(from.unusable(format!("its metadata names another issuer, `{named}`, than `{issuer}`")));
        }
        let token = self.token_endpoint.ok_or_else(|| from.unusable("its metadata names no `token_endpoint`"))?;
        let registration = self.registration_endpoint.as_deref().map(Endpoint::parse).transpose()?;
        Ok(Metadata { token: Endpoint::parse(&token)?, registration })
    }
}

/// The well-known name goes between host and path (RFC 8414 §3.1); OpenID Connect appends it.
fn documents(issuer: &str) -> Result<[Endpoint; 2], NotObtained> {
    let issuer = issuer.trim_end_matches('/');
    let server = Endpoint::parse(issuer)?.server();
    let path = issuer.strip_prefix(&server).ok_or_else(|| NotObtained::Insecure(server_words(issuer, &[])))?;
    Ok([
        Endpoint::parse(&format!("{server}/.well-known/oauth-authorization-server{path}"))?,
        Endpoint::parse(&format!("{issuer}/.well-known/openid-configuration"))?,
    ])
}

fn read(answer: &Response<Bytes>) -> Option<Document> {
    (answer.status() == StatusCode::OK).then(|| serde_json::from_slice(answer.body()).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_well_known_name_stands_before_the_path_or_after_it() {
        for (issuer, first, second) in [
            (
                "https://z.example",
                "https://z.example/.well-known/oauth-authorization-server",
                "https://z.example/.well-known/openid-configuration",
            ),
            (
                "https://z.example/",
                "https://z.example/.well-known/oauth-authorization-server",
                "https://z.example/.well-known/openid-configuration",
            ),
            (
                "http://127.0.0.1:8080/realms/a",
                "http://127.0.0.1:8080/.well-known/oauth-authorization-server/realms/a",
                "http://127.0.0.1:8080/realms/a/.well-known/openid-configuration",
            ),
        ] {
            let expected = [Endpoint::parse(first).unwrap(), Endpoint::parse(second).unwrap()];
            assert_eq!(documents(issuer).unwrap(), expected);
        }
        assert!(documents("http://z.example").is_err());
        assert!(documents("z.example").is_err());
    }
}
