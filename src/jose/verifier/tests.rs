//! What a hostile or careless token meets.

use std::time::Duration;

use aws_lc_rs::hmac;
use serde_json::Value;
use serde_json::json;

use super::*;
use crate::jose::Jwks;
use crate::jose::SigningKey;

const ISSUER: &str = "https://zone.example";
const AUDIENCE: &str = "https://api.example";
const NOW: i64 = 1_800_000_000;

struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(NOW)
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

/// An issuer with one key, and the verifier that trusts it.
struct Scene {
    key: SigningKey,
    keys: KeySet,
    verifier: Verifier,
}

impl Scene {
    fn new() -> Self {
        let key = SigningKey::generate().unwrap();
        let keys = KeySet::from_jwks(&Jwks::of([key.public()]));
        let verifier = Verifier::new(ISSUER.to_owned(), AUDIENCE.to_owned(), Arc::new(StoppedClock));
        Self { key, keys, verifier }
    }

    fn claims_with(&self, changes: Value) -> Result<Value, Refused> {
        let mut claims = json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "u", "exp": NOW + 600, "iat": NOW});
        merge(&mut claims, changes);
        self.verify(&text(&self.key.sign("at+jwt", &claims).unwrap()))
    }

    /// A token with another header, signed by the right key all the same.
    fn header_with(&self, changes: Value) -> Result<Value, Refused> {
        let good = text(&self.key.sign("at+jwt", &good_claims()).unwrap());
        let mut header = json!({"alg": "RS256", "kid": self.key.kid(), "typ": "at+jwt"});
        merge(&mut header, changes);
        let header = URL_SAFE_NO_PAD.encode(header.to_string());
        let rest = good.split_once('.').unwrap().1;
        self.verify(&format!("{header}.{rest}"))
    }

    fn verify(&self, token: &str) -> Result<Value, Refused> {
        self.verifier.verify(token, &self.keys)
    }
}

fn good_claims() -> Value {
    json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "u", "exp": NOW + 600, "iat": NOW})
}

fn merge(into: &mut Value, changes: Value) {
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::String(word) if word == "(absent)" => into.as_object_mut().unwrap().remove(name),
            _ => into.as_object_mut().unwrap().insert(name.clone(), value.clone()),
        };
    }
}

fn text(token: &crate::model::Secret) -> String {
    token.expose_str().unwrap().to_owned()
}

#[test]
fn a_good_token_gives_its_claims() {
    let scene = Scene::new();
    assert_eq!(scene.claims_with(json!({})).unwrap()["sub"], "u");
    assert!(scene.claims_with(json!({"aud": ["https://other.example", AUDIENCE]})).is_ok());
    assert!(scene.claims_with(json!({"exp": 1_800_000_000.5})).is_ok());
}

#[test]
fn issuer_and_audience_are_compared_exactly() {
    let scene = Scene::new();
    for aud in [json!("https://api.example/"), json!("https://API.example"), json!([]), json!(["https://api"])] {
        assert_eq!(scene.claims_with(json!({"aud": aud})), Err(Refused::Audience), "{aud}");
    }
    for iss in ["https://zone.example/", "https://zone.example.evil", ""] {
        assert_eq!(scene.claims_with(json!({"iss": iss})), Err(Refused::Issuer), "{iss}");
    }
}

#[test]
fn time_is_the_clocks_with_a_minute_of_leeway() {
    let scene = Scene::new();
    assert!(scene.claims_with(json!({"exp": NOW - 59})).is_ok());
    assert_eq!(scene.claims_with(json!({"exp": NOW - 60})), Err(Refused::Expired));
    assert!(scene.claims_with(json!({"iat": NOW + 60})).is_ok());
    assert_eq!(scene.claims_with(json!({"iat": NOW + 61})), Err(Refused::NotYet));
    assert_eq!(scene.claims_with(json!({"nbf": NOW + 61})), Err(Refused::NotYet));
    assert_eq!(scene.claims_with(json!({"exp": 1e300})), Err(Refused::Malformed));
}

#[test]
fn a_claim_that_every_access_token_has_may_not_be_missing() {
    let scene = Scene::new();
    for name in ["iss", "aud", "exp", "iat"] {
        assert_eq!(scene.claims_with(json!({ name: "(absent)" })), Err(Refused::Malformed), "{name}");
    }
    assert_eq!(scene.claims_with(json!({"exp": "1900000000"})), Err(Refused::Malformed));
}

#[test]
fn the_token_never_chooses_its_algorithm() {
    let scene = Scene::new();
    let claims = URL_SAFE_NO_PAD.encode(good_claims().to_string());
    for alg in ["none", "None", "nOnE", ""] {
        let header = URL_SAFE_NO_PAD.encode(json!({"alg": alg, "kid": scene.key.kid()}).to_string());
        assert_eq!(scene.verify(&format!("{header}.{claims}.")), Err(Refused::Algorithm), "{alg}");
    }
    for alg in ["HS256", "RS384", "PS256", "ES256", "EdDSA", "rs256"] {
        assert_eq!(scene.header_with(json!({"alg": alg})), Err(Refused::Algorithm), "{alg}");
    }
}

#[test]
fn the_public_key_is_no_shared_secret() {
    let scene = Scene::new();
    let public = serde_json::to_value(scene.key.public()).unwrap();
    let header = URL_SAFE_NO_PAD.encode(json!({"alg": "HS256", "kid": scene.key.kid()}).to_string());
    let message = format!("{header}.{}", URL_SAFE_NO_PAD.encode(good_claims().to_string()));
    let modulus = URL_SAFE_NO_PAD.decode(public["n"].as_str().unwrap()).unwrap();
    for shared in [modulus, public.to_string().into_bytes()] {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &shared), message.as_bytes());
        let forged = format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag));
        assert_eq!(scene.verify(&forged), Err(Refused::Algorithm));
    }
}

#[test]
fn the_key_is_the_issuers_and_named() {
    let scene = Scene::new();
    assert_eq!(scene.header_with(json!({"kid": "(absent)"})), Err(Refused::NoKeyId));
    assert_eq!(scene.header_with(json!({"kid": ""})), Err(Refused::NoKeyId));
    assert_eq!(scene.header_with(json!({"kid": "../../etc/passwd"})), Err(Refused::UnknownKey));
    let stranger = SigningKey::generate().unwrap();
    assert_eq!(scene.verify(&text(&stranger.sign("at+jwt", &good_claims()).unwrap())), Err(Refused::UnknownKey));
    // The stranger brings the key along and points at it: it is not even read.
    let header =
        json!({"alg": "RS256", "kid": scene.key.kid(), "jwk": stranger.public(), "jku": "http://127.0.0.1:1/"});
    let message =
        format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(good_claims().to_string()));
    let signature = text(&stranger.sign("at+jwt", &good_claims()).unwrap());
    let forged = format!("{message}.{}", signature.rsplit_once('.').unwrap().1);
    assert_eq!(scene.verify(&forged), Err(Refused::Signature));
}

#[test]
fn a_changed_token_has_a_wrong_signature() {
    let scene = Scene::new();
    let good = text(&scene.key.sign("at+jwt", &good_claims()).unwrap());
    let [header, _, signature] = good.split('.').collect::<Vec<_>>()[..] else { panic!("three parts") };
    let richer = URL_SAFE_NO_PAD.encode(good_claims().to_string().replace("\"u\"", "\"root\""));
    assert_eq!(scene.verify(&format!("{header}.{richer}.{signature}")), Err(Refused::Signature));
    assert_eq!(scene.verify(&format!("{}.", good.rsplit_once('.').unwrap().0)), Err(Refused::Signature));
    assert_eq!(scene.header_with(json!({"x": 1})), Err(Refused::Signature));
}

#[test]
fn what_must_be_understood_and_what_is_no_access_token_is_refused() {
    let scene = Scene::new();
    assert_eq!(scene.header_with(json!({"crit": ["exp"]})), Err(Refused::Critical));
    assert_eq!(scene.header_with(json!({"crit": null})), Err(Refused::Critical));
    let typed = |typ: &str| scene.verify(&text(&scene.key.sign(typ, &good_claims()).unwrap()));
    assert_eq!(typed("logout+jwt"), Err(Refused::Type));
    assert_eq!(typed("vnd.kc.su+jwt"), Err(Refused::Type));
    assert!(typed("JWT").is_ok());
    assert!(typed("application/at+JWT").is_ok());
}

#[test]
fn rubbish_is_malformed() {
    let scene = Scene::new();
    let twice = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256","alg":"none","kid":"x"}"#);
    for token in
        ["", ".", "..", "a.b.c", "a.b.c.d", "é.é.é", &format!("{twice}.e30.e30"), &"a".repeat(JWT_BYTES_MAX + 1)]
    {
        assert_eq!(scene.verify(token), Err(Refused::Malformed), "{}", token.len());
    }
}

#[test]
fn a_p256_key_verifies_es256_and_nothing_else() {
    use aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
    use aws_lc_rs::signature::EcdsaKeyPair;
    use aws_lc_rs::signature::KeyPair as _;

    let scene = Scene::new();
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let point = pair.public_key().as_ref().to_vec();
    let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..]));
    let jwks = json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": "ec", "use": "sig", "x": x, "y": y}]});
    let keys = KeySet::from_jwks(&Jwks::parse(jwks.to_string().as_bytes()).unwrap());
    let signed = |alg: &str| {
        let header = URL_SAFE_NO_PAD.encode(json!({"alg": alg, "kid": "ec"}).to_string());
        let message = format!("{header}.{}", URL_SAFE_NO_PAD.encode(good_claims().to_string()));
        let signature = pair.sign(&aws_lc_rs::rand::SystemRandom::new(), message.as_bytes()).unwrap();
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    };
    assert!(scene.verifier.verify::<Value>(&signed("ES256"), &keys).is_ok());
    assert_eq!(scene.verifier.verify::<Value>(&signed("RS256"), &keys), Err(Refused::Algorithm));
}

#[test]
fn a_token_changed_in_any_one_place_is_refused() {
    let scene = Scene::new();
    let good = text(&scene.key.sign("at+jwt", &good_claims()).unwrap());
    assert!(scene.verify(&good).is_ok());
    for place in 0..good.len() {
        let mut bytes = good.clone().into_bytes();
        bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
        assert!(scene.verify(&String::from_utf8(bytes).unwrap()).is_err(), "{place}");
    }
}
