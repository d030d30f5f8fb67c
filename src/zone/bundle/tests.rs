//! Bundles packed, unpacked, and refused.

use proptest::prelude::*;

use super::*;

const SCHEMA_TEXT: &str = "namespace Keycard {\n  entity User { email: String };\n  \
    action any appliesTo { principal: [User], resource: User };\n}\n";
const FORBID: &str = "forbid(principal, action, resource) when { true };";
const PERMIT: &str = "permit(principal, action, resource);";

fn sample(name: Option<&str>) -> Bundle {
    let policies = [("pol_b", PERMIT), ("pol_a", FORBID)];
    let policies = policies.map(|(key, text)| (key.to_owned(), name.map(str::to_owned), text.to_owned()));
    Bundle::of("2026-02-14", SCHEMA_TEXT, "user_sample", policies)
}

fn packed(entries: &[(&str, &str)]) -> Vec<u8> {
    let entries: Vec<_> = entries.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    archive::pack(&entries).unwrap()
}

#[test]
fn the_digest_is_the_one_that_clients_compute() {
    let sample = sample(None);
    assert_eq!(sample.manifest.schema.sha, "sha256:bebad81d45871ebaeada2303b84f2b9c352ad5b0daf27c86174d6a149df2ebf1");
    let digest = "fc4d480186e8dd3add271fc66e6225d14a8879ea4aaceea5021c1f7e460ad29b";
    assert_eq!(sample.digest().unwrap(), digest);
    assert_eq!(self::sample(Some("a name")).digest().unwrap(), digest, "names do not count");
    let mut other = sample.clone();
    other.manifest.policies.reverse();
    assert_eq!(other.digest().unwrap(), digest, "nor does the order");
    other.manifest.target_id = "user_other".to_owned();
    assert_ne!(other.digest().unwrap(), digest);
}

#[test]
fn a_bundle_comes_back_as_it_was_and_always_as_the_same_bytes() {
    let sample = sample(Some("n"));
    assert_eq!(Bundle::unpack(&sample.pack().unwrap()).unwrap(), sample);
    assert_eq!(sample.pack(), sample.pack());
}

#[test]
fn what_is_no_bundle_is_refused() {
    let manifest = sample(None).manifest.to_text().unwrap();
    let whole =
        [("manifest.json", manifest.as_str()), ("policies/pol_a.cedar", FORBID), ("policies/pol_b.cedar", PERMIT)];
    assert!(Bundle::unpack(&packed(&whole)).is_ok());
    let with = |more: &[(&str, &str)]| packed(&[&whole, more].concat());
    for (bytes, said) in [
        (with(&[("policies/pol_a.cedar", FORBID)]), "twice"),
        (with(&[("manifest.json", &manifest)]), "twice"),
        (with(&[("policies/pol_c.cedar", FORBID)]), "does not name"),
        (with(&[("policies/x/y.cedar", FORBID)]), "not known"),
        (with(&[("policies/../y.cedar", FORBID)]), "not known"),
        (with(&[("README", "")]), "not known"),
        (packed(&whole[..2]), "`policies/pol_b.cedar` is missing"),
        (packed(&whole[1..]), "`manifest.json` is missing"),
        (packed(&[("manifest.json", "{}")]), "manifest.json: missing field"),
        (packed(&[("manifest.json", &manifest.replace("pol_b", "pol_a"))]), "one key of its own"),
        (b"plain".to_vec(), "not gzip"),
        (Vec::new(), "not gzip"),
    ] {
        let fault = Bundle::unpack(&bytes).unwrap_err().to_string();
        assert!(fault.contains(said), "{said}: {fault}");
    }
    let large = packed(&[("manifest.json", &" ".repeat(crate::limits::ZONE_POLICY_BUNDLE_UNPACKED_BYTES_MAX))]);
    assert!(Bundle::unpack(&large).unwrap_err().to_string().contains("too large"));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(change in any::<(usize, u8)>(), cut in any::<usize>()) {
        use std::io::Write as _;
        let packed = sample(None).pack().unwrap();
        let mut plain = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(packed.as_slice()), &mut plain).unwrap();
        let at = change.0 % plain.len();
        plain[at] = change.1;
        plain.truncate(cut % (plain.len() + 1));
        let mut zip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        zip.write_all(&plain).unwrap();
        let _ = Bundle::unpack(&zip.finish().unwrap());
    }
}
