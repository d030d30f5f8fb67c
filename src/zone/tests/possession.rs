//! Proofs of possession: a token that is bound to a key, and every proof that is off.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
use aws_lc_rs::signature::EcdsaKeyPair;
use aws_lc_rs::signature::KeyPair as _;

use super::people::*;
use super::*;
use crate::jose::hash_of;

const TOKEN: &str = "http://127.0.0.1:7980/oauth/2/token";

pub(super) fn es256() -> (EcdsaKeyPair, Value) {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let point = pair.public_key().as_ref().to_vec();
    let coordinate = |range: std::ops::Range<usize>| URL_SAFE_NO_PAD.encode(&point[range]);
    let jwk = json!({"kty": "EC", "crv": "P-256", "x": coordinate(1..33), "y": coordinate(33..65)});
    (pair, jwk)
}

fn sign(pair: &EcdsaKeyPair, header: &Value, claims: &Value) -> String {
    let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let message = format!("{}.{}", encode(header), encode(claims));
    let signature = pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn proof((pair, jwk): &(EcdsaKeyPair, Value), change: impl FnOnce(&mut Value, &mut Value)) -> String {
    let jti = format!("{:032x}", u128::from_be_bytes(crate::os::random::bytes()));
    let mut header = json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": jwk});
    let mut claims = json!({"jti": jti, "htm": "POST", "htu": TOKEN, "iat": NOW});
    change(&mut header, &mut claims);
    sign(pair, &header, &claims)
}

impl Scene {
    async fn post_with_proof(&self, form: &[(&str, &str)], proof: &str) -> Reply {
        let request = Request::post("/oauth/2/token")
            .header("content-type", "application/x-www-form-urlencoded")
            .header("dpop", proof);
        self.send(request.body(Body::from(encode(form))).unwrap()).await
    }
}

#[tokio::test]
async fn a_client_that_proves_a_key_gets_tokens_that_are_bound_to_it() {
    let scene = Scene::of_people().await;
    let (client, key, other) = (scene.public_client().await, es256(), es256());
    let code = scene.code(&client, &[("scope", "openid")]).await;
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", &client),
        ("code", &code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ];
    let tokens = scene.post_with_proof(&form, &proof(&key, |_, _| {})).await;
    assert_eq!(tokens.status, StatusCode::OK, "{}", tokens.body);
    assert_eq!(tokens.body["token_type"], "DPoP");
    let members = format!(r#"{{"crv":"P-256","kty":"EC","x":{},"y":{}}}"#, key.1["x"], key.1["y"]);
    assert_eq!(tokens.claims()["cnf"]["jkt"], hash_of(&members));
    // Where the token goes, the proof goes too.
    let token = tokens.word("access_token");
    let ask = async |scheme: &str, proof: Option<String>| {
        let mut request = Request::get("/openid/connect/userinfo").header("authorization", format!("{scheme} {token}"));
        if let Some(proof) = proof {
            request = request.header("dpop", proof);
        }
        scene.send(request.body(Body::empty()).unwrap()).await.status
    };
    let for_userinfo = |key: &(EcdsaKeyPair, Value), named: &str| {
        let ath = hash_of(named);
        Some(proof(key, |_, claims| {
            claims["htm"] = json!("GET");
            claims["htu"] = json!("http://127.0.0.1:7980/openid/connect/userinfo");
            claims["ath"] = json!(ath);
        }))
    };
    assert_eq!(ask("DPoP", for_userinfo(&key, &token)).await, StatusCode::OK);
    assert_eq!(ask("Bearer", None).await, StatusCode::UNAUTHORIZED);
    assert_eq!(ask("Bearer", for_userinfo(&key, &token)).await, StatusCode::UNAUTHORIZED);
    assert_eq!(ask("DPoP", for_userinfo(&other, &token)).await, StatusCode::UNAUTHORIZED);
    assert_eq!(ask("DPoP", for_userinfo(&key, "another token")).await, StatusCode::BAD_REQUEST);
    // A public client's refresh token is bound as well.
    let refresh = tokens.word("refresh_token");
    let form = [("grant_type", "refresh_token"), ("client_id", client.as_str()), ("refresh_token", refresh.as_str())];
    scene.post("/oauth/2/token", &form).await.refused(400, "invalid_grant", "The refresh token is not valid");
    let reply = scene.post_with_proof(&form, &proof(&other, |_, _| {})).await;
    reply.refused(400, "invalid_grant", "The refresh token is not valid");
    let reply = scene.post_with_proof(&form, &proof(&key, |_, _| {})).await;
    assert_eq!(reply.body["token_type"], "DPoP", "{}", reply.body);
}

#[tokio::test]
async fn a_proof_that_is_off_in_anything_is_refused() {
    let scene = Scene::of_people().await;
    let agent = scene.register("curl").await;
    let form = [
        ("grant_type", "client_credentials"),
        ("resource", WHOAMI),
        ("client_id", agent.id.as_str()),
        ("client_secret", agent.secret.as_str()),
    ];
    let key = es256();
    type Change = fn(&mut Value, &mut Value);
    let changes: [Change; 11] = [
        |header, _| header["typ"] = json!("JWT"),
        |header, _| header["alg"] = json!("none"),
        |header, _| header["alg"] = json!("HS256"),
        |header, _| header["jwk"]["d"] = json!("AAAA"),
        |header, _| header["jwk"] = json!({"kty": "oct", "k": "AAAA"}),
        |_, claims| claims["htm"] = json!("GET"),
        |_, claims| claims["htu"] = json!("http://127.0.0.1:7980/oauth/2/revoke"),
        |_, claims| claims["htu"] = json!("https://evil.test/oauth/2/token"),
        |_, claims| claims["iat"] = json!(NOW - 61),
        |_, claims| claims["iat"] = json!(NOW + 11),
        |_, claims| claims["jti"] = json!(""),
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let reply = scene.post_with_proof(&form, &proof(&key, change)).await;
        assert_eq!(
            (reply.status, &reply.body["error"]),
            (StatusCode::BAD_REQUEST, &json!("invalid_dpop_proof")),
            "{index}"
        );
    }
    let forged = format!("{}AAAA", proof(&key, |_, _| {}));
    assert_eq!(scene.post_with_proof(&form, &forged).await.body["error"], "invalid_dpop_proof");
    let once = proof(&key, |_, claims| claims["htu"] = json!(format!("{TOKEN}?x=1")));
    assert_eq!(scene.post_with_proof(&form, &once).await.body["token_type"], "DPoP");
    let again = scene.post_with_proof(&form, &once).await;
    again.refused(400, "invalid_dpop_proof", "The proof was shown before");
}
