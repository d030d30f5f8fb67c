//! rustls, OpenSSL and Python's strict mode accept what we make and nothing that is forged with it.

use std::io::Read as _;
use std::io::Write as _;
use std::net::TcpListener;
use std::process::Command;

use rcgen::CertificateParams;
use rcgen::SanType;

use super::*;
use crate::tls::key::Key;

#[test]
fn a_client_that_trusts_our_root_talks_h2_or_h1_to_a_permitted_host() {
    let world = World::new(&["api.example.com", "example.org"]);
    let trust = world.trust();
    for name in ["api.example.com", "example.org", "deep.below.example.org"] {
        let connection = handshake(&world.server(name), &client(&trust), name).unwrap();
        assert_eq!(connection.alpn_protocol(), Some(b"h2".as_slice()));
    }
    let h1 = world.authority.server_config(&host("api.example.com"), Alpn::Http1).unwrap();
    let connection = handshake(&h1, &client(&trust), "api.example.com").unwrap();
    assert_eq!(connection.alpn_protocol(), Some(b"http/1.1".as_slice()));
    let no_alpn = client_config(&trust, &[], &[]).unwrap();
    assert_eq!(handshake(&world.server("api.example.com"), &no_alpn, "api.example.com").unwrap().alpn_protocol(), None);
    assert!(handshake(&h1, &client(&trust), "example.org").is_err(), "a leaf is for one name");
}

#[test]
fn the_certificates_are_as_strict_clients_want_them() {
    let world = World::new(&["api.example.com"]);
    let chain = chain_of(&world.server("api.example.com"), &world.trust(), "api.example.com");
    let roots = world.authority.roots();
    let (leaf, intermediate, root) = (parsed(&chain[0]), parsed(&chain[1]), parsed(&roots[0]));

    for certificate in [&leaf, &intermediate, &root] {
        assert_eq!(certificate.raw_serial().len(), 16);
        assert!((0x40..0x80).contains(&certificate.raw_serial()[0]), "positive and minimal");
        let constraints = certificate.basic_constraints().unwrap().unwrap();
        assert!(constraints.critical);
        assert!(certificate.key_usage().unwrap().unwrap().critical);
    }
    let (root_ca, intermediate_ca, leaf_ca) = (
        root.basic_constraints().unwrap().unwrap().value,
        intermediate.basic_constraints().unwrap().unwrap().value,
        leaf.basic_constraints().unwrap().unwrap().value,
    );
    assert_eq!((root_ca.ca, root_ca.path_len_constraint), (true, Some(1)));
    assert_eq!((intermediate_ca.ca, intermediate_ca.path_len_constraint), (true, Some(0)));
    assert!(!leaf_ca.ca);

    let constraints = intermediate.name_constraints().unwrap().unwrap();
    assert!(constraints.critical);
    assert_eq!(constraints.value.permitted_subtrees.as_ref().unwrap().len(), 1);
    assert_eq!(constraints.value.excluded_subtrees.as_ref().unwrap().len(), 2);

    let names = leaf.subject_alternative_name().unwrap().unwrap();
    assert_eq!(names.value.general_names, [x509_parser::extensions::GeneralName::DNSName("api.example.com")]);
    let usage = leaf.extended_key_usage().unwrap().unwrap().value;
    assert!(usage.server_auth && !usage.client_auth && !usage.any);
    let life = leaf.validity().not_after.timestamp() - leaf.validity().not_before.timestamp();
    assert!(life <= 24 * 3600, "{life}");
    assert_ne!(leaf.raw_serial(), intermediate.raw_serial());
}

#[test]
fn openssl_accepts_a_leaf_in_strict_mode() {
    let world = World::new(&["api.example.com", "my_bucket.example.net"]);
    for name in ["api.example.com", "my_bucket.example.net"] {
        let chain = chain_of(&world.server(name), &world.trust(), name);
        let extra = ["-verify_hostname", name];
        let (accepted, said) = openssl_verify(world.home.path(), &world.authority.roots(), &chain, &extra);
        assert!(accepted, "{said}");
    }
}

#[test]
fn the_constraints_bite_even_with_the_intermediates_key_in_foreign_hands() {
    let world = World::new(&["api.example.com"]);
    let generation = world.generation();
    let trust = world.trust();
    let dns = |name: &str| SanType::DnsName(name.try_into().unwrap());
    let cases = [
        (dns("api.example.com"), "api.example.com", true),
        (dns("evil.example.net"), "evil.example.net", false),
        (dns("example.com"), "example.com", false),
        (dns("xapi.example.com"), "xapi.example.com", false),
        (SanType::IpAddress([127, 0, 0, 1].into()), "127.0.0.1", false),
        (SanType::IpAddress(std::net::Ipv6Addr::LOCALHOST.into()), "::1", false),
    ];
    for (name, asked, accepted) in cases {
        let (leaf, intermediate, key) = forged(&generation, name);
        let chain = vec![leaf, intermediate];
        let (openssl, said) = openssl_verify(world.home.path(), &world.authority.roots(), &chain, &[]);
        assert_eq!(openssl, accepted, "openssl, {asked}: {said}");
        let pkcs8 = key.to_pkcs8().unwrap().as_ref().to_vec();
        let server = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, rustls_pki_types::PrivatePkcs8KeyDer::from(pkcs8).into())
            .unwrap();
        let shaken = handshake(&Arc::new(server), &client_config(&trust, &[], &[]).unwrap(), asked);
        assert_eq!(shaken.is_ok(), accepted, "rustls, {asked}: {:?}", shaken.err());
    }
}

#[test]
fn pythons_strict_mode_accepts_a_real_handshake() {
    let world = World::new(&["api.example.com"]);
    let bundle = world.authority.write_bundle(&platform_roots(None)).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = world.server("api.example.com");
    let serving = std::thread::spawn(move || {
        let (mut tcp, _) = listener.accept().unwrap();
        tcp.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut connection = ServerConnection::new(server).unwrap();
        let mut stream = rustls::Stream::new(&mut connection, &mut tcp);
        let mut question = [0; 4];
        stream.read_exact(&mut question).and_then(|()| stream.write_all(b"pong")).map(|()| question)
    });
    let script = "
import socket, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[1])
context.verify_flags |= ssl.VERIFY_X509_STRICT
raw = socket.create_connection(('127.0.0.1', int(sys.argv[2])), timeout=20)
stream = context.wrap_socket(raw, server_hostname='api.example.com')
stream.sendall(b'ping')
print(stream.recv(4).decode())
";
    let answer = Command::new("python3").args(["-c", script]).arg(&bundle.merged).arg(port.to_string()).output();
    let answer = answer.expect("python3 is installed");
    assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
    assert_eq!(answer.stdout, b"pong\n");
    assert_eq!(&serving.join().unwrap().unwrap(), b"ping");
}

#[test]
fn the_bundle_has_the_systems_roots_and_ours_and_rests_when_nothing_changed() {
    use std::os::unix::fs::MetadataExt as _;
    let world = World::new(&["api.example.com"]);
    let foreign = World::new(&["foreign.example"]);
    let system = foreign.trust();
    let bundle = world.authority.write_bundle(&system).unwrap();
    let inode = || std::fs::metadata(&bundle.merged).unwrap().ino();
    let first = inode();
    assert_eq!(world.authority.write_bundle(&system).unwrap(), bundle);
    assert_eq!(inode(), first);
    let merged = platform_roots(Some(&bundle.merged));
    assert_eq!(merged.errors, Vec::<String>::new());
    for (name, world) in [("api.example.com", &world), ("foreign.example", &foreign)] {
        handshake(&world.server(name), &client(&merged), name).unwrap();
    }
    assert_eq!(platform_roots(Some(&bundle.own)).certs, world.authority.roots());
}

#[test]
fn an_upstream_is_verified_and_an_extra_root_is_for_one_config_only() {
    let world = World::new(&["api.example.com"]);
    let none = Roots::new(Vec::new(), Vec::new());
    let server = world.server("api.example.com");
    assert!(handshake(&server, &client(&none), "api.example.com").is_err());
    let extra = client_config(&none, &world.authority.roots(), &[b"http/1.1"]).unwrap();
    let connection = handshake(&server, &extra, "api.example.com").unwrap();
    assert_eq!(connection.alpn_protocol(), Some(b"http/1.1".as_slice()));
    assert!(handshake(&server, &client(&none), "api.example.com").is_err());
    assert!(client_config(&none, &[CertificateDer::from(vec![1, 2, 3])], &[]).is_err());
}

#[test]
fn a_file_of_roots_that_is_not_there_is_told() {
    let roots = platform_roots(Some(Path::new("/no/such/file")));
    assert!(roots.certs.is_empty());
    assert_eq!(roots.errors.len(), 1);
}

/// A leaf that we would never make, signed by hand with the intermediate's key.
fn forged(generation: &Generation, name: SanType) -> (CertificateDer<'static>, CertificateDer<'static>, Key) {
    let intermediate = generation.intermediate_for("api.example.com").unwrap();
    let key = Key::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.subject_alt_names = vec![name];
    params.serial_number = Some(certificate::serial());
    params.use_authority_key_identifier_extension = true;
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let now = SystemClock::new().now();
    certificate::set_lifetime(&mut params, now.before(Duration::from_secs(60)), now.after(Duration::from_secs(600)));
    let leaf = params.signed_by(&key, &intermediate.issuer).unwrap();
    (leaf.into(), intermediate.certificate.clone(), key)
}
