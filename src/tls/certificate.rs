//! What each kind of our certificates says.
//!
//! Strict clients set the tone (Python 3.13, Apple): key identifiers, critical constraints and key usage, a short
//! and positive serial, one name and one day for a leaf.

use std::time::Duration;

use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::CidrSubnet;
use rcgen::DistinguishedName;
use rcgen::DnType;
use rcgen::ExtendedKeyUsagePurpose;
use rcgen::GeneralSubtree;
use rcgen::IsCa;
use rcgen::KeyUsagePurpose;
use rcgen::NameConstraints;
use rcgen::SanType;
use rcgen::SerialNumber;

use crate::limits::CA_BACKDATED;
use crate::limits::CA_INTERMEDIATE_LIFETIME;
use crate::limits::CA_ROOT_LIFETIME;
use crate::model::Host;
use crate::model::Timestamp;
use crate::os::random;

/// A root: any name, one level of authorities below it.
pub(super) fn root_params(label: &str, now: Timestamp) -> CertificateParams {
    let mut params = authority_params(format!("valetkey root {label}"), 1);
    set_lifetime(&mut params, now.before(CA_BACKDATED), now.after(CA_ROOT_LIFETIME.saturating_sub(CA_BACKDATED)));
    params
}

/// An intermediate: these names, no address, no authority below it.
pub(super) fn intermediate_params(label: &str, permitted: &[&String], now: Timestamp) -> CertificateParams {
    let mut params = authority_params(format!("valetkey intermediate {label}"), 0);
    set_lifetime(&mut params, now.before(CA_BACKDATED), now.after(CA_INTERMEDIATE_LIFETIME));
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: permitted.iter().map(|name| GeneralSubtree::DnsName((*name).clone())).collect(),
        excluded_subtrees: vec![
            GeneralSubtree::IpAddress(CidrSubnet::V4([0; 4], [0; 4])),
            GeneralSubtree::IpAddress(CidrSubnet::V6([0; 16], [0; 16])),
        ],
    });
    params
}

/// A leaf for one name.
pub(super) fn leaf_params(host: &Host, from: Timestamp, until: Timestamp) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::default();
    // no common name: some clients would hold it against the constraints as if it were a host
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "valetkey");
    params.subject_alt_names = vec![SanType::DnsName(host.as_str().try_into()?)];
    params.serial_number = Some(serial());
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    set_lifetime(&mut params, from, until);
    Ok(params)
}

/// A random serial: 16 bytes whose first is 0x40 to 0x7f, so that its DER is positive and minimal as it stands.
pub(super) fn serial() -> SerialNumber {
    let mut bytes: [u8; 16] = random::bytes();
    if let Some(first) = bytes.first_mut() {
        *first = (*first & 0x3f) | 0x40;
    }
    SerialNumber::from(bytes.to_vec())
}

/// Sets both ends of a certificate's life.
pub(super) fn set_lifetime(params: &mut CertificateParams, from: Timestamp, until: Timestamp) {
    let moment = |at: Timestamp| {
        let seconds = u64::try_from(at.as_seconds()).unwrap_or(0).min(SECONDS_MAX);
        rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds)
    };
    params.not_before = moment(from);
    params.not_after = moment(until);
}

fn authority_params(name: String, path_length: u8) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "valetkey");
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(serial());
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(path_length));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    params
}

/// In the year 9999, the last that a certificate can name.
const SECONDS_MAX: u64 = 253_402_300_799;
