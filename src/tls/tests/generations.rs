//! Generations: how they come, follow each other and go, and what their files must be.

use super::*;
use crate::limits::CA_GENERATIONS_MAX;
use crate::limits::CA_INTERMEDIATE_NAMES_MAX;
use crate::limits::CA_RETIRED_AFTER;
use crate::tls::key::Key;

#[test]
fn without_hosts_the_intermediate_permits_nothing() {
    let world = World::new(&[]);
    let generation = world.generation();
    assert_eq!(generation.permitted().count(), 0);
    assert!(generation.intermediate_for("api.example.com").is_none());
    let intermediate = generation.intermediate_for("no-host.invalid").unwrap();
    let certificate = parsed(&intermediate.certificate);
    let constraints = certificate.name_constraints().unwrap().unwrap().value.clone();
    assert_eq!(constraints.permitted_subtrees.unwrap().len(), 1);
}

#[test]
fn growth_adds_a_generation_and_what_runs_keeps_working() {
    let world = World::new(&["api.example.com"]);
    let old_trust = world.trust();
    let old_leaf = world.server("api.example.com");

    assert_eq!(world.authority.ensure(&hosts(&["api.example.com"])).unwrap(), Change::None);
    assert_eq!(world.authority.ensure(&hosts(&["api.example.com", "new.example.net"])).unwrap(), Change::Generations);
    assert_eq!(world.authority.roots().len(), 2);

    let both = world.trust();
    handshake(&old_leaf, &client(&both), "api.example.com").unwrap();
    handshake(&world.server("new.example.net"), &client(&both), "new.example.net").unwrap();
    // an agent that has loaded the old bundle still reaches the old host with what is made now
    handshake(&world.server("api.example.com"), &client(&old_trust), "api.example.com").unwrap();
    assert!(Arc::ptr_eq(&old_leaf, &world.server("api.example.com")), "and its sessions can be resumed");

    // opened again, it is the same authority
    assert_eq!(world.reopened(&["api.example.com", "new.example.net"]).unwrap().roots(), world.authority.roots());
    // and a generation that was followed goes in the end
    world.clock.wind(CA_RETIRED_AFTER + Duration::from_secs(60));
    assert_eq!(world.authority.ensure(&hosts(&["api.example.com", "new.example.net"])).unwrap(), Change::Generations);
    assert_eq!(generation_files(&world.folder()).len(), 1);
    assert_eq!(world.authority.roots(), both.certs[1..]);
}

#[test]
fn hosts_that_come_and_go_do_not_pile_up_generations() {
    let world = World::new(&["a.example"]);
    for _ in 0..20 {
        let _ = world.authority.ensure(&hosts(&["b.example"])).unwrap();
        let _ = world.authority.ensure(&hosts(&["a.example"])).unwrap();
    }
    assert_eq!(world.authority.roots().len(), 2);
    for number in 0..60 {
        let _ = world.authority.ensure(&hosts(&[&format!("{number}.example")])).unwrap();
    }
    assert!(world.authority.roots().len() <= CA_GENERATIONS_MAX);
}

#[test]
fn an_intermediate_is_followed_before_it_ends_and_removed_after() {
    let world = World::new(&["api.example.com"]);
    let first = world.authority.roots();
    let day = Duration::from_hours(24);
    world.clock.wind(day * 340);
    assert_eq!(world.authority.ensure(&hosts(&["api.example.com"])).unwrap(), Change::Generations);
    assert_eq!(world.authority.roots().len(), 2);
    world.clock.wind(day * 26);
    let _ = world.authority.ensure(&hosts(&["api.example.com"])).unwrap();
    assert_eq!(world.authority.roots().len(), 1);
    assert_ne!(world.authority.roots(), first);
}

#[test]
fn a_large_configuration_gets_several_small_intermediates_below_one_root() {
    let names: Vec<String> = (0..10_000).map(|number| format!("h{number}.example.com")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let world = World::new(&names);
    assert_eq!(world.authority.roots().len(), 1);
    for name in [names[0], names[CA_INTERMEDIATE_NAMES_MAX], names[9_999]] {
        let chain = chain_of(&world.server(name), &world.trust(), name);
        assert!(chain[1].len() < 16 * 1024, "{}", chain[1].len());
        let (accepted, said) = openssl_verify(world.home.path(), &world.authority.roots(), &chain, &[]);
        assert!(accepted, "{said}");
    }
    world.reopened(&names).unwrap();
}

#[test]
fn no_file_holds_the_roots_key_and_no_debug_form_any() {
    let world = World::new(&["api.example.com"]);
    let [file] = generation_files(&world.folder()).try_into().unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(text.matches("PRIVATE KEY-----").count(), 2, "one key: begin and end");
    let generation = world.generation();
    let intermediate = generation.intermediate_for("api.example.com").unwrap();
    let root = parsed(&generation.root);
    assert_ne!(root.public_key().raw, parsed(&intermediate.certificate).public_key().raw);
    let shown = format!("{generation:?} {:?} {:?}", intermediate.issuer.key(), world.authority);
    let body: String = text.lines().skip(1).take_while(|line| !line.starts_with('-')).collect();
    assert!(!shown.contains(body.split_at(40).0) && shown.contains("Key(…)"), "{shown}");
}

#[test]
fn a_key_that_others_can_read_stops_the_start() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::new(&["api.example.com"]);
    let [file] = generation_files(&world.folder()).try_into().unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let error = world.reopened(&["api.example.com"]).unwrap_err();
    assert!(matches!(error, CaError::Folder(FolderError::Open { mode: 0o644, .. })), "{error}");
    assert!(error.hint().unwrap().contains("chmod 600"));
}

#[test]
fn a_damaged_file_is_told_and_rotate_cures_it() {
    let world = World::new(&["api.example.com"]);
    let [file] = generation_files(&world.folder()).try_into().unwrap();
    std::fs::write(&file, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n").unwrap();
    let error = world.reopened(&["api.example.com"]).unwrap_err();
    assert!(matches!(error, CaError::Damaged { .. }), "{error}");
    assert_eq!(error.hint().unwrap(), "valetkey ca rotate");
    rotate(&world.folder(), &Roots::new(Vec::new(), Vec::new()), world.clock.now()).unwrap();
    world.reopened(&["api.example.com"]).unwrap();
}

#[test]
fn another_key_in_the_file_is_noticed() {
    let world = World::new(&["api.example.com"]);
    let [file] = generation_files(&world.folder()).try_into().unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    let mut swapped = String::new();
    pem::write(&mut swapped, "PRIVATE KEY", Key::generate().unwrap().to_pkcs8().unwrap().as_ref());
    swapped.push_str(text.split_once("-----END PRIVATE KEY-----\n").unwrap().1);
    assert_eq!(Generation::parse("x".to_owned(), swapped.as_bytes()).unwrap_err(), NotAGeneration::Key);
}

#[test]
fn after_rotate_the_old_root_is_worth_nothing() {
    let world = World::new(&["api.example.com"]);
    let (old_trust, old_leaf) = (world.trust(), world.server("api.example.com"));
    let bundle = rotate(&world.folder(), &Roots::new(Vec::new(), Vec::new()), world.clock.now()).unwrap();
    assert_eq!(world.authority.ensure(&hosts(&["api.example.com"])).unwrap(), Change::Generations);
    assert_eq!(own_roots(&world.folder(), world.clock.now()).unwrap(), world.authority.roots());
    assert_eq!(platform_roots(Some(&bundle.own)).certs, world.authority.roots());
    handshake(&world.server("api.example.com"), &client(&world.trust()), "api.example.com").unwrap();
    assert!(handshake(&world.server("api.example.com"), &client(&old_trust), "api.example.com").is_err());
    assert!(handshake(&old_leaf, &client(&world.trust()), "api.example.com").is_err());
}

#[test]
fn two_that_start_at_once_have_one_authority() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("ca");
    let start = std::sync::Barrier::new(4);
    let open = || {
        start.wait();
        CertificateAuthority::open(&folder, &hosts(&["api.example.com"]), Arc::new(SystemClock::new())).unwrap().roots()
    };
    let roots: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(open)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(roots.iter().all(|root| *root == roots[0]));
    assert_eq!(generation_files(&folder).len(), 1);
}
