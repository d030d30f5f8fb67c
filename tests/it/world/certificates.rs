//! The test CA that upstreams are certified by, and TLS settings for both ends.

use std::fs;
use std::fs::File;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::OnceLock;

use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::DnType;
use rcgen::IsCa;
use rcgen::Issuer;
use rcgen::KeyPair;
use rcgen::KeyUsagePurpose;
use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;

/// One for all test processes, in a place of its own below `target/tmp` that the next run finds again. Nobody trusts it
/// but the tests.
pub struct TestCa {
    issuer: Issuer<'static, KeyPair>,
    pem_file: PathBuf,
}

impl TestCa {
    /// The one that there is.
    pub fn shared() -> &'static Self {
        static CA: OnceLock<TestCa> = OnceLock::new();
        CA.get_or_init(Self::open)
    }

    /// Made by the process that comes first; the others wait for it.
    fn open() -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("upstream-ca");
        fs::create_dir_all(&folder).unwrap();
        let lock = File::create(folder.join("lock")).unwrap();
        lock.lock().unwrap();
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, "upstream test CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let (pem_file, key_file) = (folder.join("upstream-ca.pem"), folder.join("key.pem"));
        let key = match fs::read_to_string(&key_file) {
            Ok(pem) => KeyPair::from_pem(&pem).unwrap(),
            Err(_) => {
                let key = KeyPair::generate().unwrap();
                fs::write(&pem_file, params.self_signed(&key).unwrap().pem()).unwrap();
                // It is there as a whole or not at all, and then the certificate is there.
                fs::write(folder.join("key.new"), key.serialize_pem()).unwrap();
                fs::rename(folder.join("key.new"), &key_file).unwrap();
                key
            }
        };
        Self { issuer: Issuer::new(params, key), pem_file }
    }

    /// The CA's certificate.
    pub fn pem_file(&self) -> &Path {
        &self.pem_file
    }

    /// A server for `names` (DNS names and addresses) that offers `alpn`.
    pub fn server(&self, names: &[&str], alpn: &[&[u8]]) -> Arc<ServerConfig> {
        let key = KeyPair::generate().unwrap();
        let names = names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let mut config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        Arc::new(config)
    }
}

/// A client that trusts exactly the certificates of `pem_file`.
pub fn client_config(pem_file: &Path, alpn: &[&str]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(pem_file).unwrap() {
        roots.add(certificate.unwrap()).unwrap();
    }
    let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    Arc::new(config)
}
