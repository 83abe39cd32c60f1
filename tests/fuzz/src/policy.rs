//! What an operator's machine reads of others: policy files and keys that were edited by hand, signatures
//! in components that anybody may have written.

use mr_policy::section::{Block, split};
use mr_policy::{Policy, PublicKey, Signed, SigningKey, sign};

use crate::file::MemoryFile;

/// Target: a policy file. Refused in one sentence that names it, or a policy whose verdict on the usual
/// job is the same however often it is asked.
pub fn policy(data: &[u8]) {
    let file = MemoryFile::new(data);
    match Policy::read(&file.path()) {
        Ok(policy) => {
            let mut permissions = mr_model::Permissions::default();
            policy.grant(&mut permissions, None);
            let excesses = policy.excesses(&permissions).len();
            assert_eq!(policy.check(&permissions).is_ok(), excesses == 0);
            let _ = (policy.check_size(1 << 20), policy.plugin_rules(), policy.caps().options());
        }
        Err(error) => {
            let said = error.to_string();
            assert!(said.starts_with("policy /proc/self/fd/") && !said.contains('\n'), "{said}");
        }
    }
}

/// Target: a component or a key. What is split makes the whole again, and nothing counts as signed that no
/// key has signed.
pub fn signed(data: &[u8]) {
    if let Ok(key) = PublicKey::from_pem(data) {
        assert_eq!(PublicKey::from_pem(key.to_pem().as_bytes()).ok().as_ref(), Some(&key));
    }
    if let Ok((content, blocks)) = split(data) {
        let run: Vec<u8> = blocks.iter().flat_map(Block::encode).collect();
        assert_eq!([content, &run].concat(), data);
        // Its own keys may have signed it, if the seed did; a stranger's has not.
        let _ = Signed::of(data);
    }
}

/// Policies with every key.
pub fn policy_seeds() -> Vec<Vec<u8>> {
    let all = "[permissions]\nguest-memory = \"256M\"\ntask-timeout = \"30s\"\nmax-task-time = \"2h\"\n\
        max-record = \"4M\"\nmax-rejects = 10\nmax-task-output = \"1G\"\nmax-task-records = 1000000\n\
        max-shuffle = \"2G\"\nmax-output = \"2G\"\nmax-output-records = 5\nwall-clock = true\n\n\
        [plugins]\nmax-size = \"8M\"\nsigned-by = [\"ed25519:00\"]\nallow = [\"00\"]\n\n\
        [data]\ninputs = [\"/data\"]\noutputs = [\"/out\"]\n";
    let good = all.replace("signed-by = [\"ed25519:00\"]\nallow = [\"00\"]\n", "");
    vec![all.into(), good.into(), Vec::new()]
}

/// A component without signatures, with one, with two, and a key.
pub fn signed_seeds() -> Vec<Vec<u8>> {
    let dir = tempfile::tempdir().unwrap();
    let key = |name: &str| SigningKey::create(&dir.path().join(name)).unwrap();
    let (first, second) = (key("first"), key("second"));
    let plain = b"\0asm\x0d\0\x01\0\0\x05\x01nabc".to_vec();
    let once = [plain.as_slice(), &sign(&plain, &first).unwrap().unwrap()].concat();
    let twice = [once.as_slice(), &sign(&once, &second).unwrap().unwrap()].concat();
    vec![plain, once, twice, first.public().to_pem().into_bytes()]
}
