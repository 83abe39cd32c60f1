//! Certificates on disk: how they are written, and every fault that is found before anything is dialled.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use mr_net::{Authority, Certificate, Identity, IdentityError, IdentityFiles, NodeId, NodeRole};

use crate::support::Cluster;
use crate::support::bare::Pair;

fn files(cluster: &Cluster, stem: &str) -> IdentityFiles {
    let dir = cluster.dir.path();
    IdentityFiles {
        authority: dir.join("ca.pem"),
        certificate: dir.join(format!("{stem}.pem")),
        key: dir.join(format!("{stem}.key")),
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn what_is_issued_loads() {
    let cluster = Cluster::new();
    let dir = cluster.dir.path();
    let addresses = ["10.0.0.7".to_owned(), "node-7.example".to_owned()];
    cluster.authority.issue(&Certificate::new(NodeRole::Worker, "w7", &addresses)).unwrap();
    cluster.identity(NodeRole::Coordinator, "coordinator");

    let worker = Identity::load(&IdentityFiles::named(dir, NodeRole::Worker, "w7")).unwrap();
    let expected = NodeId::new(cluster.authority.cluster(), NodeRole::Worker, "w7").unwrap();
    assert_eq!(worker.node(), &expected);
    assert_eq!(IdentityFiles::only(dir, NodeRole::Coordinator).unwrap(), files(&cluster, "coordinator"));
    for key in ["ca.key", "worker-w7.key", "coordinator.key"] {
        assert_eq!(mode(&dir.join(key)), 0o600, "{key}");
    }
}

#[test]
fn an_authority_issues_after_it_was_opened_again() {
    let cluster = Cluster::new();
    let dir = cluster.dir.path();
    let opened = Authority::open(dir).unwrap();
    assert_eq!(opened.cluster(), cluster.authority.cluster());
    opened.issue(&Certificate::new(NodeRole::Client, "ann", &[])).unwrap();
    Identity::load(&IdentityFiles::named(dir, NodeRole::Client, "ann")).unwrap();
}

#[test]
fn nothing_is_overwritten() {
    let cluster = Cluster::new();
    let dir = cluster.dir.path();
    cluster.identity(NodeRole::Worker, "w");
    let read = |name: &str| fs::read(dir.join(name)).unwrap();
    let before: Vec<_> = ["ca.pem", "ca.key", "worker-w.pem", "worker-w.key"].map(read).into();

    let authority = Authority::create(dir).unwrap_err();
    assert_eq!(authority, IdentityError::Exists { path: dir.join("ca.pem") });
    let worker = cluster.authority.issue(&Certificate::new(NodeRole::Worker, "w", &[])).unwrap_err();
    assert_eq!(worker, IdentityError::Exists { path: dir.join("worker-w.pem") });
    let after: Vec<_> = ["ca.pem", "ca.key", "worker-w.pem", "worker-w.key"].map(read).into();
    assert!(before == after);

    // A key without its certificate is not overwritten either.
    fs::remove_file(dir.join("worker-w.pem")).unwrap();
    let worker = cluster.authority.issue(&Certificate::new(NodeRole::Worker, "w", &[])).unwrap_err();
    assert_eq!(worker, IdentityError::Exists { path: dir.join("worker-w.key") });
}

#[test]
fn illegal_names_are_refused() {
    let cluster = Cluster::new();
    for name in ["", "../ca", "W", "a b"] {
        let wanted = Certificate::new(NodeRole::Worker, name, &[]);
        let expected = IdentityError::BadName { name: name.to_owned() };
        assert_eq!(cluster.authority.issue(&wanted).unwrap_err(), expected);
    }
    let addresses = ["not a host".to_owned()];
    let wanted = Certificate::new(NodeRole::Worker, "w", &addresses);
    let expected = IdentityError::BadName { name: addresses[0].clone() };
    assert_eq!(cluster.authority.issue(&wanted).unwrap_err(), expected);
}

#[test]
fn faults_of_files_are_named() {
    let cluster = Cluster::new();
    let dir = cluster.dir.path();
    for name in ["w", "exposed", "garbage", "swapped"] {
        cluster.identity(NodeRole::Worker, name);
    }
    let path = |name: &str| dir.join(name);
    fs::set_permissions(path("worker-exposed.key"), Permissions::from_mode(0o644)).unwrap();
    fs::write(path("worker-garbage.pem"), "no certificate").unwrap();
    fs::copy(path("worker-w.key"), path("worker-swapped.key")).unwrap();
    cluster.expired(NodeRole::Worker, "old");
    Pair::forge(&cluster, "worker-nobody", None);
    let elsewhere = "mr-engine://elsewhere/worker/w";
    Pair::forge(&cluster, "worker-elsewhere", Some(elsewhere));

    let cluster_name = cluster.authority.cluster().to_owned();
    for (stem, expected) in [
        ("worker-none", IdentityError::Missing { path: path("worker-none.pem") }),
        ("worker-exposed", IdentityError::KeyExposed { path: path("worker-exposed.key"), mode: 0o644 }),
        (
            "worker-garbage",
            IdentityError::Malformed { path: path("worker-garbage.pem"), what: "certificate" },
        ),
        (
            "worker-swapped",
            IdentityError::WrongKey {
                key: path("worker-swapped.key"),
                certificate: path("worker-swapped.pem"),
            },
        ),
        ("worker-old", IdentityError::Expired { path: path("worker-old.pem") }),
        ("worker-nobody", IdentityError::NotANode { path: path("worker-nobody.pem") }),
        (
            "worker-elsewhere",
            IdentityError::OtherCluster {
                path: path("worker-elsewhere.pem"),
                cluster: "elsewhere".to_owned(),
                expected: cluster_name,
            },
        ),
    ] {
        let error = Identity::load(&files(&cluster, stem)).unwrap_err();
        assert_eq!(error, expected);
        assert!(error.to_string().contains(stem), "{error}");
    }
}

/// The forged certificate says that it is of the cluster, and was issued by another authority.
#[test]
fn a_certificate_of_another_authority_is_refused() {
    let (ours, theirs) = (Cluster::new(), Cluster::new());
    let uri = format!("mr-engine://{}/worker/w", ours.authority.cluster());
    Pair::forge(&theirs, "worker-w", Some(&uri));
    let files = IdentityFiles { authority: ours.dir.path().join("ca.pem"), ..files(&theirs, "worker-w") };
    let expected = IdentityError::ForeignAuthority {
        path: files.certificate.clone(),
        authority: files.authority.clone(),
    };
    assert_eq!(Identity::load(&files).unwrap_err(), expected);
}

#[test]
fn a_folder_has_to_have_one_identity_of_a_role() {
    let cluster = Cluster::new();
    let dir = cluster.dir.path();
    let none = IdentityFiles::only(dir, NodeRole::Worker).unwrap_err();
    assert_eq!(none, IdentityError::NoneOfRole { dir: dir.to_owned(), role: NodeRole::Worker });
    cluster.identity(NodeRole::Worker, "a");
    cluster.identity(NodeRole::Worker, "b");
    let several = IdentityFiles::only(dir, NodeRole::Worker).unwrap_err();
    let names = "worker-a, worker-b".to_owned();
    let expected = IdentityError::SeveralOfRole { dir: dir.to_owned(), role: NodeRole::Worker, names };
    assert_eq!(several, expected);
}
