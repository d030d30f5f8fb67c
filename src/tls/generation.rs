//! One generation of our authority: a root whose key is gone, and the intermediates that it has signed.
//!
//! A generation is one file (the intermediates' key, the root, the intermediates), so that it is there whole or
//! not at all. The constraints stand in the intermediates because Java ignores them in a trusted root; excluded
//! addresses stand beside the permitted names because a list of names alone forbids no address (RFC 5280 §4.2.1.10).

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::time::Duration;

use rcgen::Issuer;
use rcgen::PublicKeyData as _;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::pem::SectionKind;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;
use x509_parser::prelude::X509Certificate;
use zeroize::Zeroizing;

use crate::limits::CA_BACKDATED;
use crate::limits::CA_INTERMEDIATE_NAMES_MAX;
use crate::model::Host;
use crate::model::Timestamp;
use crate::os::random;
use crate::tls::certificate::intermediate_params;
use crate::tls::certificate::root_params;
use crate::tls::key::Key;
use crate::tls::pem;

/// A living root and its intermediates.
#[derive(Debug)]
pub(super) struct Generation {
    /// The name of its file; names sort in the order of making, whatever the clock said.
    pub(super) name: String,
    /// What clients trust.
    pub(super) root: CertificateDer<'static>,
    intermediates: Vec<Intermediate>,
    /// Each permitted subtree and the intermediate that may sign below it.
    permits: HashMap<String, usize>,
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
}

/// A certificate that may sign leaves, with its key.
#[derive(Debug)]
pub(super) struct Intermediate {
    pub(super) certificate: CertificateDer<'static>,
    pub(super) issuer: Issuer<'static, Key>,
}

/// Why a file holds no generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAGeneration {
    /// PEM sections of other kinds, or in another order.
    #[error("it is not one key, one root and intermediates in PEM")]
    Sections,
    /// A certificate that cannot be read, or without constraints.
    #[error("a certificate in it is not one that valetkey makes")]
    Certificate,
    /// The key is of another kind or belongs to another certificate.
    #[error("its key does not belong to its certificates")]
    Key,
}

/// The names that an intermediate must permit for `hosts`: without addresses, and without what a parent covers.
pub(super) fn subtrees(hosts: &[Host]) -> BTreeSet<String> {
    let all: BTreeSet<&str> = hosts.iter().filter(|host| host.address().is_none()).map(Host::as_str).collect();
    let covered = |name: &&&str| ancestors(name).skip(1).any(|parent| all.contains(parent));
    all.iter().filter(|name| !covered(name)).map(|name| (*name).to_owned()).collect()
}

/// The name, its parent, and so on up.
pub(super) fn ancestors(name: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(name), |name| name.split_once('.').map(|(_, parent)| parent))
}

impl Generation {
    /// Makes the generation after `previous` for these subtrees, and the file that holds it. The root's key ends here.
    pub(super) fn make(
        previous: Option<&str>,
        permitted: &BTreeSet<String>,
        now: Timestamp,
    ) -> Result<(Self, Zeroizing<String>), rcgen::Error> {
        let suffix = u32::from_ne_bytes(random::bytes());
        let label = format!("{} {suffix:08x}", now.day());
        let (root_key, key) = (generate()?, generate()?);
        let root = root_params(&label, now);
        let root_certificate = root.self_signed(&root_key)?;
        let root_issuer = Issuer::new(root, root_key);

        let names: Vec<&String> = permitted.iter().collect();
        // without a permitted name every name would be permitted, so an empty list permits one that cannot exist
        let nothing = [&NO_HOST.to_owned()];
        let chunks = if names.is_empty() { nothing.chunks(1) } else { names.chunks(CA_INTERMEDIATE_NAMES_MAX) };
        let mut certificates = vec![root_certificate.into()];
        for (number, chunk) in chunks.enumerate() {
            let params = intermediate_params(&format!("{label} {}", number + 1), chunk, now);
            certificates.push(params.signed_by(&key, &root_issuer)?.into());
        }
        let file = file_of(&key, &certificates)?;
        let name = format!("{:06}-{suffix:08x}{GENERATION_SUFFIX}", number_after(previous));
        let generation = Self::parse(name, file.as_bytes()).map_err(|_| rcgen::Error::CouldNotParseCertificate)?;
        Ok((generation, file))
    }

    /// Reads what `make` wrote.
    pub(super) fn parse(name: String, file: &[u8]) -> Result<Self, NotAGeneration> {
        let mut sections = <(SectionKind, Vec<u8>)>::pem_slice_iter(file);
        let mut next = |wanted: SectionKind| match sections.next() {
            None => Ok(None),
            Some(Ok((kind, der))) if kind == wanted => Ok(Some(der)),
            Some(_) => Err(NotAGeneration::Sections),
        };
        let key = Zeroizing::new(next(SectionKind::PrivateKey)?.ok_or(NotAGeneration::Sections)?);
        let key = Key::from_pkcs8(&key).ok_or(NotAGeneration::Key)?;
        let root = CertificateDer::from(next(SectionKind::Certificate)?.ok_or(NotAGeneration::Sections)?);
        let (mut intermediates, mut permits) = (Vec::new(), HashMap::new());
        let mut life = lifetime(&root)?;
        while let Some(der) = next(SectionKind::Certificate)? {
            let certificate = CertificateDer::from(der);
            for name in permitted_by(&certificate, &key)? {
                permits.insert(name, intermediates.len());
            }
            let (from, until) = lifetime(&certificate)?;
            life = (life.0.max(from), life.1.min(until));
            let issuer =
                Issuer::from_ca_cert_der(&certificate, key.clone()).map_err(|_| NotAGeneration::Certificate)?;
            intermediates.push(Intermediate { certificate, issuer });
        }
        if intermediates.is_empty() {
            return Err(NotAGeneration::Sections);
        }
        Ok(Self { name, root, intermediates, permits, not_before: life.0, not_after: life.1 })
    }

    /// The intermediate that may sign for this name.
    pub(super) fn intermediate_for(&self, name: &str) -> Option<&Intermediate> {
        let index = ancestors(name).find_map(|ancestor| self.permits.get(ancestor))?;
        self.intermediates.get(*index)
    }

    /// Whether it may sign for all of these, now and for `ahead`.
    pub(super) fn serves(&self, permitted: &BTreeSet<String>, now: Timestamp, ahead: Duration) -> bool {
        self.lives(now, ahead) && permitted.iter().all(|name| self.intermediate_for(name).is_some())
    }

    /// Whether its certificates are valid now and for `ahead`.
    pub(super) fn lives(&self, now: Timestamp, ahead: Duration) -> bool {
        self.not_before <= now && now.after(ahead) < self.not_after
    }

    /// When it was made.
    pub(super) fn made(&self) -> Timestamp {
        self.not_before.after(CA_BACKDATED)
    }

    /// What it permits.
    pub(super) fn permitted(&self) -> impl Iterator<Item = &str> {
        self.permits.keys().map(String::as_str).filter(|name| *name != NO_HOST)
    }
}

/// The key, the root, the intermediates; in a buffer that never grows and so leaves no unwiped copy of the key.
fn file_of(key: &Key, certificates: &[CertificateDer<'_>]) -> Result<Zeroizing<String>, rcgen::Error> {
    let key = key.to_pkcs8().map_err(|_| rcgen::Error::RingUnspecified)?;
    let certificates = pem::to_pem(certificates);
    let mut file = Zeroizing::new(String::with_capacity(certificates.len() + 4 * key.as_ref().len() + 256));
    pem::write(&mut file, "PRIVATE KEY", key.as_ref());
    file.push_str(&certificates);
    Ok(file)
}

fn number_after(previous: Option<&str>) -> u32 {
    let number = previous.and_then(|name| name.split_once('-')).and_then(|(number, _)| number.parse::<u32>().ok());
    number.unwrap_or(0).saturating_add(1)
}

fn generate() -> Result<Key, rcgen::Error> {
    Key::generate().map_err(|_| rcgen::Error::RingUnspecified)
}

/// The names this intermediate permits; an error when it is not as we make them or the key is not its own.
fn permitted_by(certificate: &CertificateDer<'_>, key: &Key) -> Result<Vec<String>, NotAGeneration> {
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(|_| NotAGeneration::Certificate)?;
    if parsed.public_key().raw != key.subject_public_key_info() {
        return Err(NotAGeneration::Key);
    }
    let constraints = parsed.name_constraints().ok().flatten().ok_or(NotAGeneration::Certificate)?;
    let permitted = constraints.value.permitted_subtrees.as_deref().unwrap_or_default();
    let names = permitted.iter().map(|subtree| match subtree.base {
        GeneralName::DNSName(name) => Ok(name.to_owned()),
        _ => Err(NotAGeneration::Certificate),
    });
    match names.collect::<Result<Vec<_>, _>>()? {
        names if names.is_empty() => Err(NotAGeneration::Certificate),
        names => Ok(names),
    }
}

fn lifetime(certificate: &CertificateDer<'_>) -> Result<(Timestamp, Timestamp), NotAGeneration> {
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(|_| NotAGeneration::Certificate)?;
    let validity = parsed.validity();
    Ok((
        Timestamp::from_seconds(validity.not_before.timestamp()),
        Timestamp::from_seconds(validity.not_after.timestamp()),
    ))
}

/// How the files are told from others in the folder.
pub(super) const GENERATION_SUFFIX: &str = ".generation.pem";

/// `.invalid` never resolves (RFC 2606 §2).
const NO_HOST: &str = "no-host.invalid";
