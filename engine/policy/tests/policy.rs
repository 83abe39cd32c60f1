//! Policies as operators write them, and their verdicts, word for word.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use mr_model::Permissions;
use mr_policy::{Approval, Policy, PublicKey, SigningKey, sign};
use tempfile::TempDir;

const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

/// A folder with a policy and keys.
struct Office {
    dir: TempDir,
}

impl Office {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Makes a key with its public half beside it.
    fn key(&self, name: &str) -> SigningKey {
        let key = SigningKey::create(&self.path(&format!("{name}.key"))).unwrap();
        fs::write(self.path(&format!("{name}.pem")), key.public().to_pem()).unwrap();
        key
    }

    /// Reads this text as a policy, or says what is wrong with it, FOLDER for the folder.
    fn try_policy(&self, text: &str) -> Result<Policy, String> {
        fs::write(self.path("p.toml"), text).unwrap();
        let folder = self.dir.path().to_str().unwrap();
        Policy::read(&self.path("p.toml")).map_err(|error| error.to_string().replace(folder, "FOLDER"))
    }

    fn policy(&self, text: &str) -> Policy {
        self.try_policy(text).unwrap()
    }

    /// What is said of a component: the reason for it, or against it.
    fn verdict(&self, policy: &Policy, component: &[u8]) -> Result<Approval, String> {
        let folder = self.dir.path().to_str().unwrap();
        let verdict = policy.check_component(component, &blake3::hash(component));
        verdict.map_err(|refusal| refusal.to_string().replace(folder, "FOLDER"))
    }

    /// All that is said against a job.
    fn excesses(&self, policy: &Policy, permissions: &Permissions) -> Vec<String> {
        let folder = self.dir.path().to_str().unwrap();
        let excesses = policy.excesses(permissions);
        assert_eq!(policy.check(permissions).err(), excesses.first().cloned());
        excesses.iter().map(|excess| excess.to_string().replace(folder, "FOLDER")).collect()
    }
}

fn signed(component: &[u8], keys: &[&SigningKey]) -> Vec<u8> {
    let mut bytes = component.to_vec();
    keys.iter().for_each(|key| bytes.extend(sign(&bytes, key).unwrap().unwrap()));
    bytes
}

const TIGHT: &str = r#"
[permissions]
guest-memory = "64M"
task-timeout = "10s"
max-task-time = "1h"
max-record = "64K"
max-rejects = 5
max-task-output = "1G"
max-task-records = 1_000_000
max-shuffle = "10G"
max-output = "1.5G"
max-output-records = 7
"#;

#[test]
fn who_asks_for_nothing_gets_what_is_allowed() {
    let office = Office::new();
    let policy = office.policy(TIGHT);
    let mut permissions = Permissions::default();
    policy.grant(&mut permissions, None);
    let granted = Permissions {
        record_bytes_max: 64 << 10,
        guest_memory_bytes_max: 64 << 20,
        idle_timeout: Duration::from_secs(10),
        task_time_max: Duration::from_secs(3600),
        rejects_max: 0,
        rejects_per_million_max: None,
        task_output_bytes_max: 1 << 30,
        task_output_records_max: 1_000_000,
        shuffle_bytes_max: Some(10 << 30),
        output_bytes_max: Some(3 << 29),
        output_records_max: Some(7),
        wall_clock: None,
    };
    assert_eq!(permissions, granted);
    assert_eq!(office.excesses(&policy, &permissions), [""; 0]);
    // Who asks for less gets that, and nothing is ever raised.
    let modest = Permissions {
        record_bytes_max: 1,
        guest_memory_bytes_max: 2,
        idle_timeout: Duration::from_secs(3),
        task_time_max: Duration::from_secs(4),
        rejects_max: 5,
        rejects_per_million_max: Some(6),
        task_output_bytes_max: 6,
        task_output_records_max: 7,
        shuffle_bytes_max: Some(8),
        output_bytes_max: Some(9),
        output_records_max: Some(7),
        wall_clock: None,
    };
    let mut permissions = modest.clone();
    policy.grant(&mut permissions, None);
    assert_eq!(permissions, modest);
    assert_eq!(office.excesses(&policy, &modest), [""; 0]);
    // Who asks for a share of the records leaves the number to the engine, and thus to the policy.
    let mut share = Permissions {
        rejects_max: mr_model::limit::REJECTS_MAX,
        rejects_per_million_max: Some(1),
        ..granted
    };
    policy.grant(&mut share, None);
    assert_eq!((share.rejects_max, share.rejects_per_million_max), (5, Some(1)));
    // Caps above what the engine gives by itself raise nothing either.
    let wide =
        office.policy("[permissions]\nmax-record = \"16M\"\ntask-timeout = \"2h\"\nguest-memory = \"1T\"");
    let mut permissions = Permissions::default();
    wide.grant(&mut permissions, None);
    assert_eq!(permissions, Permissions::default());
}

#[test]
fn side_inputs_have_a_cap_together() {
    let office = Office::new();
    let policy = office.policy("[permissions]\nmax-sides = \"4K\"");
    assert!(policy.check_sides(4096).is_ok());
    assert_eq!(office.policy("").check_sides(u64::MAX), Ok(()));
    let refused = policy.check_sides(4097).unwrap_err().to_string();
    let sentence = format!(
        "the side inputs of the job have 4097 bytes together, and the policy {} allows 4K",
        policy.name()
    );
    assert_eq!(refused, sentence);
    let options: Vec<String> =
        policy.caps().options().iter().map(|(option, cap)| format!("{option} {cap}")).collect();
    assert_eq!(options, ["--side 4K"]);
}

#[test]
fn who_asks_for_more_is_refused_permission_by_permission() {
    let office = Office::new();
    let policy = office.policy(TIGHT);
    let mut greedy = Permissions {
        record_bytes_max: (64 << 10) + 1,
        guest_memory_bytes_max: 65 << 20,
        idle_timeout: Duration::from_millis(10_001),
        task_time_max: Duration::from_secs(7200),
        rejects_max: 6,
        rejects_per_million_max: None,
        task_output_bytes_max: 2 << 30,
        task_output_records_max: 1_000_001,
        shuffle_bytes_max: Some(11 << 30),
        output_bytes_max: Some(u64::MAX),
        output_records_max: Some(8),
        wall_clock: Some(0),
    };
    // What was asked for is not lowered: it is refused.
    let asked = greedy.clone();
    policy.grant(&mut greedy, Some(65 << 20));
    assert_eq!(greedy, asked);
    let over = |asked: &str, cap: &str, option: &str| {
        format!(
            "the job sets its limit of {asked}, and the policy FOLDER/p.toml allows {cap}; give {option} {cap} or less"
        )
    };
    let expected = [
        over("guest memory to 65M", "64M", "--guest-memory"),
        over("time without progress to 10001ms", "10s", "--task-timeout"),
        over("time of a task to 2h", "1h", "--max-task-time"),
        over("record size to 65537", "64K", "--max-record"),
        over("rejects to 6", "5", "--max-rejects"),
        over("task output bytes to 2G", "1G", "--max-task-output"),
        over("task output records to 1000001", "1000000", "--max-task-records"),
        over("shuffle bytes to 11G", "10G", "--max-shuffle"),
        over("output bytes to 18446744073709551615", "1536M", "--max-output"),
        over("output records to 8", "7", "--max-output-records"),
        "the job asks for the wall clock, and the policy FOLDER/p.toml does not grant it; leave --wall-clock out"
            .to_owned(),
    ];
    assert_eq!(office.excesses(&policy, &greedy), expected);
    // A job that nobody granted anything, as a worker may meet it.
    let unbounded = office.policy("[permissions]\nmax-output = \"1G\"\nwall-clock = true\n");
    let said = office.excesses(&unbounded, &Permissions { wall_clock: Some(1), ..Permissions::default() });
    let expected = "the job sets no limit of output bytes, and the policy FOLDER/p.toml allows 1G; give \
        --max-output 1G or less";
    assert_eq!(said, [expected]);
}

#[test]
fn whose_plugins_are_taken() {
    let office = Office::new();
    let (alice, bob, carol) = (office.key("alice"), office.key("bob"), office.key("carol"));
    let of_alice = signed(COMPONENT, &[&alice]);
    let of_carol = signed(COMPONENT, &[&carol]);
    let unsigned = |whose: &str| {
        Err(format!(
            "is not signed, and the policy FOLDER/p.toml takes plugins that are signed by {whose}; sign it with \
             `mr-engine sign`"
        ))
    };

    let anybody = office.policy("");
    assert_eq!(office.verdict(&anybody, COMPONENT), Ok(Approval::Anybody));
    assert_eq!(office.verdict(&anybody, b"not even a component"), Ok(Approval::Anybody));

    let one = office.policy("plugins.signed-by = [\"alice.pem\"]");
    assert_eq!(office.verdict(&one, &of_alice), Ok(Approval::SignedBy("alice.pem".into())));
    assert_eq!(
        office.verdict(&one, &signed(&of_carol, &[&alice])),
        Ok(Approval::SignedBy("alice.pem".into()))
    );
    assert_eq!(office.verdict(&one, COMPONENT), unsigned("alice.pem"));
    let stranger = format!(
        "is signed by {}, and the policy FOLDER/p.toml takes plugins that are signed by alice.pem",
        carol.public()
    );
    assert_eq!(office.verdict(&one, &of_carol), Err(stranger));

    let text =
        format!("plugins.signed-by = [\"alice.pem\", {:?}, '''{}''']", bob.public(), carol.public().to_pem());
    let text = text.replace("[\"alice.pem\", ed", "[\"alice.pem\", \"ed").replace(", '''", "\", '''");
    let several = office.policy(&text);
    assert_eq!(office.verdict(&several, &of_carol), Ok(Approval::SignedBy(carol.public().to_string())));
    let names = format!("one of alice.pem, {}, {}", bob.public(), carol.public());
    assert_eq!(office.verdict(&several, COMPONENT), unsigned(&names));

    // A good signature does not help beside a bad one.
    let mut touched = signed(&of_alice, &[&bob]);
    *touched.last_mut().unwrap() ^= 1;
    let said = format!(
        "has a signature of {} that is not of this content: it was changed after it was signed; take it from where \
         it was signed, or have it built and signed again (the policy FOLDER/p.toml takes signed plugins)",
        bob.public()
    );
    assert_eq!(office.verdict(&one, &touched), Err(said));
    assert_eq!(office.verdict(&anybody, &touched), Ok(Approval::Anybody));
    let said = "is not a WebAssembly component (the policy FOLDER/p.toml takes signed plugins)";
    assert_eq!(office.verdict(&one, b"text"), Err(said.to_owned()));

    // Nobody is trusted: nothing is taken.
    let nobody = office.policy("plugins.signed-by = []");
    assert_eq!(office.verdict(&nobody, COMPONENT), unsigned("nobody"));
}

#[test]
fn plugins_are_taken_by_hash_and_size() {
    let office = Office::new();
    let alice = office.key("alice");
    let hash = blake3::hash(COMPONENT);
    let listed = office.policy(&format!("plugins.allow = [\"{hash}\"]"));
    assert_eq!(office.verdict(&listed, COMPONENT), Ok(Approval::Listed));
    let of_alice = signed(COMPONENT, &[&alice]);
    let said = format!(
        "is not among the plugins that the policy FOLDER/p.toml allows; its blake3 is {}",
        blake3::hash(&of_alice)
    );
    assert_eq!(office.verdict(&listed, &of_alice), Err(said));
    let either = office.policy(&format!("plugins = {{ allow = [\"{hash}\"], signed-by = [\"alice.pem\"] }}"));
    assert_eq!(office.verdict(&either, COMPONENT), Ok(Approval::Listed));
    assert_eq!(office.verdict(&either, &of_alice), Ok(Approval::SignedBy("alice.pem".into())));
    let small = office.policy(&format!("plugins = {{ max-size = 100, allow = [\"{hash}\"] }}"));
    assert_eq!(office.verdict(&small, COMPONENT), Ok(Approval::Listed));
    let said = "has 127 bytes, and the policy FOLDER/p.toml allows 100; strip its debug information";
    assert_eq!(office.verdict(&small, &of_alice), Err(said.to_owned()));
}

#[test]
fn faults_of_the_file_name_the_line() {
    let office = Office::new();
    office.key("alice");
    let cases = [
        (
            "[permission]\n",
            "line 1: unknown field `permission`, expected one of `permissions`, `plugins`, `data`",
        ),
        ("\n[permissions]\nguest_memory = 1\n", "line 3: unknown field `guest_memory`"),
        ("[permissions]\nmax-output = \"lots\"\n", "line 2: \"lots\" is no size"),
        ("[permissions]\nmax-output = 0\n", "line 2: \"0\" is no size"),
        ("[permissions]\nmax-output = -1\n", "line 2: invalid value: integer `-1`, expected a size such as"),
        (
            "[permissions]\nmax-output = true\n",
            "line 2: invalid type: boolean `true`, expected a size such as",
        ),
        ("[permissions]\ntask-timeout = \"soon\"\n", "line 2: \"soon\" is no time"),
        ("[permissions]\nmax-rejects = -1\n", "line 2: invalid value"),
        (
            "[permissions]\nguest-memory = \"1M\"\n",
            "line 2: guest-memory is below 4M, with which no plugin starts",
        ),
        ("[permissions]\nwall-clock = \"yes\"\n", "line 2: invalid type: string \"yes\", expected a boolean"),
        ("[plugins]\nsigned-by = \"alice.pem\"\n", "line 2: invalid type: string \"alice.pem\""),
        (
            "[plugins]\nsigned-by = [\n\"alice.pem\",\n\"bob.pem\",\n]\n",
            "line 4: key FOLDER/bob.pem cannot be used: No such file or directory (os error 2)",
        ),
        (
            "[plugins]\nsigned-by = [\"alice.key\"]\n",
            "line 2: key FOLDER/alice.key holds no public Ed25519 key in PEM",
        ),
        (
            "[plugins]\nsigned-by = [\"ed25519:12\"]\n",
            "line 2: signed-by: the entry holds no public Ed25519 key",
        ),
        ("[plugins]\nallow = [\n\"1234\"]\n", "line 3: \"1234\" is no BLAKE3: it has 64 hexadecimal digits"),
        ("[permissions\n", "line 1: "),
    ];
    for (text, expected) in cases {
        let said = office.try_policy(text).unwrap_err();
        assert!(said.starts_with(&format!("policy FOLDER/p.toml: {expected}")), "{text:?}: {said}");
    }
    fs::write(office.path("p.toml"), vec![b'\n'; (1 << 20) + 1]).unwrap();
    let said = Policy::read(&office.path("p.toml")).unwrap_err().to_string();
    assert!(said.ends_with("p.toml: it is larger than 1M"), "{said}");
    let said = Policy::read(&office.path("none.toml")).unwrap_err().to_string();
    assert!(said.ends_with("none.toml: No such file or directory (os error 2)"), "{said}");
}

/// The example in the documentation of the file's format is a policy.
#[test]
fn the_documented_file_is_read() {
    let office = Office::new();
    let source = include_str!("../src/file.rs");
    let (_, rest) = source.split_once("//! ```toml\n").unwrap();
    let (example, _) = rest.split_once("//! ```").unwrap();
    let example: String =
        example.lines().map(|line| format!("{}\n", line.trim_start_matches("//!"))).collect();
    fs::create_dir(office.path("keys")).unwrap();
    let key: PublicKey = include_str!("data/openssl.pub.pem").parse().unwrap();
    fs::write(office.path("keys/alice.pem"), key.to_pem()).unwrap();
    let policy = office.policy(&example);
    assert_eq!(policy.caps().options().len(), 11);
    let rules = format!("signed by keys/alice.pem or {key}, or one of 0 listed by hash; at most 64M");
    assert_eq!(policy.plugin_rules(), rules);
}
