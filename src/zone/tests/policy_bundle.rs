//! The policy bundle over HTTP: given, replaced by whoever saw it last, checked.

use axum::body::Bytes;

use super::management::Office;
use super::policies::SCHEMA;
use super::*;
use crate::zone::bundle::Bundle;

const CODEC: &str = "application/vnd.keycard.policy-bundle.v1+tar+gzip";

struct Got {
    status: StatusCode,
    tag: String,
    body: Bytes,
}

async fn send(office: &Office, method: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Got {
    let mut request = Request::builder().method(method).uri("/policy/bundle");
    request = request.header("authorization", format!("Bearer {}", office.token));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = office.scene.zone.router().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
    let (head, body) = response.into_parts();
    let tag = head.headers.get("etag").map_or("", |tag| tag.to_str().unwrap()).to_owned();
    Got { status: head.status, tag, body: body.collect().await.unwrap().to_bytes() }
}

fn problem(got: &Got) -> (u16, String, String) {
    let body: Value = serde_json::from_slice(&got.body).unwrap();
    let word = |name: &str| body[name].as_str().unwrap().to_owned();
    (got.status.as_u16(), word("code"), word("message"))
}

#[tokio::test]
async fn a_bundle_is_given_changed_and_taken_back() {
    let office = Office::new().await;
    let first = send(&office, "GET", &[("accept", CODEC)], Vec::new()).await;
    assert_eq!(first.status, StatusCode::OK);
    let bundle = Bundle::unpack(&first.body).unwrap();
    assert_eq!(first.tag, format!("\"{}\"", bundle.digest().unwrap()));
    assert_eq!((bundle.policies.len(), bundle.manifest.schema.version.as_str()), (3, SCHEMA));
    assert_eq!(send(&office, "GET", &[], Vec::new()).await.body, first.body);
    let unchanged = send(&office, "GET", &[("if-none-match", &first.tag)], Vec::new()).await;
    assert_eq!((unchanged.status, unchanged.body.len(), &unchanged.tag), (StatusCode::NOT_MODIFIED, 0, &first.tag));
    // Edited: one policy more, one gone.
    let policies = bundle.policies.iter().skip(1).map(|(key, text)| (key.clone(), None, text.clone()));
    let new = ("mine".to_owned(), Some("Mine".to_owned()), "forbid(principal, action, resource);".to_owned());
    let mut edited = Bundle::of(SCHEMA, "", &bundle.manifest.target_id, policies.chain([new]));
    let mine = edited.manifest.policies.iter_mut().find(|policy| policy.key() == "mine").unwrap();
    mine.new_policy = mine.public_id.take();
    let packed = edited.pack().unwrap();
    let put = send(&office, "PUT", &[("content-type", CODEC), ("if-match", &first.tag)], packed.clone()).await;
    assert_eq!(put.status, StatusCode::OK, "{:?}", put.body);
    let kept = Bundle::unpack(&put.body).unwrap();
    assert_eq!((kept.policies.len(), &kept.schema), (3, &bundle.schema));
    let named = kept.manifest.policies.iter().find(|policy| policy.name.as_deref() == Some("Mine")).unwrap();
    assert!(named.public_id.as_ref().is_some_and(|id| id.len() == 26), "{named:?}");
    let got = send(&office, "GET", &[], Vec::new()).await;
    assert_eq!((&got.body, &got.tag), (&put.body, &put.tag));
    let stale = send(&office, "PUT", &[("content-type", CODEC), ("if-match", &first.tag)], packed.clone()).await;
    assert_eq!((problem(&stale).0, problem(&stale).1.as_str()), (412, "precondition_failed"));
    let octets = [("content-type", "application/octet-stream"), ("if-match", put.tag.as_str())];
    assert_eq!(send(&office, "PUT", &octets, first.body.to_vec()).await.tag, first.tag);
    assert_eq!(send(&office, "PUT", &[("content-type", CODEC)], packed).await.status, StatusCode::OK);
    assert_eq!(send(&office, "DELETE", &[], Vec::new()).await.status, StatusCode::NO_CONTENT);
    assert_eq!(send(&office, "GET", &[], Vec::new()).await.body, first.body);
}

#[tokio::test]
async fn a_bundle_that_is_none_is_refused_and_changes_nothing() {
    let office = Office::new().await;
    let first = send(&office, "GET", &[], Vec::new()).await;
    let own = Bundle::unpack(&first.body).unwrap().manifest.target_id;
    let pack = |version: &str, target: &str, text: &str| {
        Bundle::of(version, "", target, [("p".to_owned(), None, text.to_owned())]).pack().unwrap()
    };
    let permit = "permit(principal, action, resource);";
    for (bytes, said) in [
        (b"rubbish".to_vec(), "not gzip"),
        (pack("2020-01-01", &own, permit), "not known"),
        (pack(SCHEMA, "somebody", permit), "another than the caller"),
        (pack(SCHEMA, &own, "permit(principal, action, resource) when { principal.colour };"), "policies/p.cedar: 1:"),
    ] {
        let (status, code, message) = problem(&send(&office, "PUT", &[("content-type", CODEC)], bytes).await);
        assert_eq!((status, code.as_str()), (400, "bundle_invalid"));
        assert!(message.contains(said), "{message}");
    }
    let text = send(&office, "PUT", &[("content-type", "text/plain")], pack(SCHEMA, &own, permit)).await;
    assert_eq!(problem(&text).0, 415);
    let large = send(&office, "PUT", &[("content-type", CODEC)], vec![0; 2 * 1024 * 1024]).await;
    assert_eq!(problem(&large).0, 413);
    assert_eq!(send(&office, "GET", &[], Vec::new()).await.tag, first.tag);
    let office = Office { token: office.scene.token(&["zones:read"]).await, ..office };
    assert_eq!(send(&office, "GET", &[], Vec::new()).await.status, StatusCode::FORBIDDEN);
    let office = Office { token: "nobody".to_owned(), ..office };
    assert_eq!(send(&office, "GET", &[], Vec::new()).await.status, StatusCode::UNAUTHORIZED);
}
