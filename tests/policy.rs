//! Keys, signatures and policies, by the real commands: who signs, who is trusted, what may be asked for,
//! here and by a real coordinator.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::cluster::{Cluster, Setup};
use crate::support::job::names;
use crate::support::process::{Ended, command, plugin, run, shared_cache};

const OPENSSL: &str = include_str!("../engine/policy/tests/data/openssl.pem");
const OPENSSL_PUBLIC: &str = include_str!("../engine/policy/tests/data/openssl.pub.pem");
/// The word for the key of these files.
const OPENSSL_WORD: &str = "ed25519:2cdcdd7b4f86e7196e4719103eda83c7e7123643244de08073f71f04af30096c";

/// A folder in which commands are run.
struct Desk(TempDir);

impl Desk {
    /// One with the plugin `words.wasm`, the private key `alice.key` and its public half `alice.pem`.
    fn new() -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        fs::copy(plugin("wordcount"), desk.path("words.wasm")).unwrap();
        desk.write("alice.key", OPENSSL);
        fs::set_permissions(desk.path("alice.key"), PermissionsExt::from_mode(0o600)).unwrap();
        desk.write("alice.pem", OPENSSL_PUBLIC);
        desk.write("in", "a b a\n");
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    fn run(&self, args: &str) -> Ended {
        let mut command = command(self.0.path());
        command.args(args.split_whitespace()).env("MR_ENGINE_CACHE_DIR", shared_cache());
        run(command)
    }

    /// Runs a command that has to succeed; what it prints.
    #[track_caller]
    fn says(&self, args: &str) -> String {
        let ended = self.run(args);
        assert_eq!(ended.code(), Some(0), "{args}: {}", ended.stderr);
        String::from_utf8(ended.stdout).unwrap()
    }

    /// Runs a command that has to end with this code and this sentence.
    #[track_caller]
    fn refuses(&self, args: &str, code: i32, sentence: &str) {
        let ended = self.run(args);
        assert_eq!(ended.stderr.lines().last(), Some(&*format!("mr-engine: {sentence}")), "{args}");
        assert_eq!(ended.code(), Some(code), "{args}");
    }

    #[track_caller]
    fn submits(&self, args: &str) -> String {
        self.says(&format!("submit words.wasm --input in --quiet {args}"))
    }

    #[track_caller]
    fn submit_refused(&self, args: &str, code: i32, sentence: &str) {
        self.refuses(&format!("submit words.wasm --input in --quiet --output out {args}"), code, sentence);
        assert!(!self.path("out").exists());
    }
}

#[test]
fn keys_are_made_once_and_are_private() {
    let desk = Desk::new();
    let public = desk.says("keygen bob.key");
    desk.write("bob.pem", &public);
    assert!(public.starts_with("-----BEGIN PUBLIC KEY-----\n"), "{public}");
    assert_eq!(fs::metadata(desk.path("bob.key")).unwrap().permissions().mode() & 0o777, 0o600);
    let key = desk.read("bob.key");
    let sentence = "key bob.key exists already, and keys are never overwritten; give another name";
    desk.refuses("keygen bob.key", 2, sentence);
    assert_eq!(desk.read("bob.key"), key);
    desk.says("sign words.wasm --key bob.key");
    desk.says("verify words.wasm --key bob.pem");

    fs::set_permissions(desk.path("bob.key"), PermissionsExt::from_mode(0o644)).unwrap();
    let sentence = "key bob.key can be read by others (mode 644); run `chmod 600` on it";
    desk.refuses("sign words.wasm --key bob.key", 2, sentence);
    let sentence = "key alice.pem holds no private Ed25519 key in PEM, as `mr-engine keygen` and `openssl genpkey` \
        make it: it is \"PUBLIC KEY\"";
    desk.refuses("sign words.wasm --key alice.pem", 2, sentence);
}

#[test]
fn a_plugin_is_signed_verified_and_runs() {
    let desk = Desk::new();
    let bare = desk.read("words.wasm");
    let counted = desk.submits("");
    desk.refuses("verify words.wasm", 5, "plugin words.wasm is not signed; sign it with `mr-engine sign`");

    let said = desk.says("sign words.wasm --key alice.key --out signed.wasm");
    assert_eq!(said, format!("signed.wasm is signed by {OPENSSL_WORD}\n"));
    assert_eq!(desk.read("words.wasm"), bare);
    assert!(desk.read("signed.wasm").starts_with(&bare));
    assert_eq!(
        desk.says("sign words.wasm --key alice.key"),
        format!("words.wasm is signed by {OPENSSL_WORD}\n")
    );
    assert_eq!(desk.read("words.wasm"), desk.read("signed.wasm"), "signing is deterministic");
    let said = desk.says("sign words.wasm --key alice.key");
    assert_eq!(said, format!("words.wasm was signed already by {OPENSSL_WORD}\n"));
    assert_eq!(desk.read("words.wasm"), desk.read("signed.wasm"));
    let left = names(desk.0.path());
    assert_eq!(left.len(), 6, "{left:?}");

    desk.write("bob.pem", desk.says("keygen bob.key"));
    let only_alice = desk.says("verify words.wasm --key bob.pem --key alice.pem");
    assert_eq!(only_alice, format!("words.wasm is signed by {OPENSSL_WORD}\n"));
    let sentence = "plugin words.wasm is signed, but with none of the keys that --key names";
    desk.refuses("verify words.wasm --key bob.pem", 5, sentence);
    desk.says("sign words.wasm --key bob.key");
    let json: Value =
        serde_json::from_str(&desk.says(&format!("verify words.wasm --json --key {OPENSSL_WORD}"))).unwrap();
    assert_eq!((&json["verified"], json["signers"].as_array().unwrap().len()), (&true.into(), 2));
    assert_eq!(json["signers"][0], OPENSSL_WORD);
    assert_eq!(json["blake3"], blake3::hash(&desk.read("words.wasm")).to_hex().as_str());

    // WebAssembly skips what it does not know.
    assert_eq!(desk.submits(""), counted);
    let inspected = desk.says("inspect words.wasm");
    assert!(inspected.contains(&format!("\nsigned   by {OPENSSL_WORD}\n")), "{inspected}");
}

#[test]
fn what_is_damaged_is_neither_signed_nor_verified() {
    let desk = Desk::new();
    desk.write("text", "no plugin");
    let sentence = "plugin text is not a WebAssembly file; a plugin is a compiled component (.wasm)";
    desk.refuses("sign text --key alice.key", 5, sentence);
    desk.refuses("sign none --key alice.key", 5, "plugin none does not exist; check the path");
    desk.says("sign words.wasm --key alice.key");
    let signed = desk.read("words.wasm");
    let mut changed = signed.clone();
    // Somewhere in the code.
    changed[signed.len() / 2] ^= 1;
    desk.write("changed.wasm", &changed);
    let wrong = format!(
        "plugin changed.wasm has a signature of {OPENSSL_WORD} that is not of this content: it was changed after it \
         was signed; take it from where it was signed, or have it built and signed again"
    );
    desk.refuses("verify changed.wasm", 5, &wrong);
    desk.refuses("sign changed.wasm --key alice.key", 5, &wrong);
    desk.write("longer.wasm", [&signed[..], b"\0\x02\x01x"].concat());
    let followed = format!(
        "plugin longer.wasm was changed after it was signed: something follows the signature at byte {}; sign plugins \
         as the last step of their build",
        signed.len() - 119
    );
    desk.refuses("verify longer.wasm", 5, &followed);
}

#[test]
fn a_policy_decides_whose_plugins_run() {
    let desk = Desk::new();
    desk.write("policy.toml", "[plugins]\nsigned-by = [\"alice.pem\"]\n");
    desk.write("config.toml", "policy = \"policy.toml\"\n");
    let unsigned = "plugin words.wasm is not signed, and the policy policy.toml takes plugins that are signed by \
        alice.pem; sign it with `mr-engine sign`";
    desk.submit_refused("--policy policy.toml", 5, unsigned);
    desk.refuses("explain words.wasm --input in --policy policy.toml", 5, unsigned);
    let inspected = desk.says("inspect words.wasm --policy policy.toml");
    assert!(inspected.contains("\npolicy   policy.toml refuses it: it is not signed, "), "{inspected}");
    // Where the configuration file says so; its path is meant from there.
    let mut configured = command(desk.0.path());
    configured.args(["submit", "words.wasm", "--input", "in", "--quiet"]);
    configured.env("MR_ENGINE_CONFIG", desk.path("config.toml"));
    let ended = run(configured);
    assert_eq!(ended.code(), Some(5));
    assert!(ended.stderr.contains(&format!("the policy {}", desk.path("policy.toml").display())));

    desk.says("sign words.wasm --key alice.key");
    assert_eq!(desk.submits("--policy policy.toml"), "a\t2\nb\t1\n");
    let explained = desk.says("explain words.wasm --input in --policy policy.toml");
    let rules = "\npolicy   policy.toml: plugins signed by alice.pem; at most 256M\n           words.wasm: signed by \
        alice.pem\n";
    assert!(explained.ends_with(rules), "{explained}");
    // Every component of the job counts.
    let sum = plugin("sum").display().to_string();
    desk.submit_refused(
        &format!("--policy policy.toml --reduce {sum}"),
        5,
        &unsigned.replace("words.wasm", &sum),
    );
    desk.write("broken.toml", "[plugins]\nsigned-by = [\"nobody.pem\"]\n");
    let sentence =
        "policy broken.toml: line 2: key nobody.pem cannot be used: No such file or directory (os error 2)";
    desk.submit_refused("--policy broken.toml", 2, sentence);
}

#[test]
fn a_policy_caps_what_jobs_ask_for() {
    let desk = Desk::new();
    desk.write(
        "policy.toml",
        "[permissions]\nguest-memory = \"32M\"\ntask-timeout = \"30s\"\nmax-output = 5\nmax-rejects = 0\n",
    );
    let over = |limit: &str, asked: &str, cap: &str, option: &str| {
        let sentence = format!(
            "the job sets its limit of {limit} to {asked}, and the policy policy.toml allows {cap}; give {option} \
             {cap} or less"
        );
        desk.submit_refused(&format!("--policy policy.toml {option} {asked}"), 2, &sentence);
    };
    over("guest memory", "33M", "32M", "--guest-memory");
    over("time without progress", "1m", "30s", "--task-timeout");
    over("output bytes", "6", "5", "--max-output");
    over("rejects", "1", "0", "--max-rejects");
    // Who asks for nothing has the cap, and it holds.
    let ended = desk.run("submit words.wasm --input in --output out --policy policy.toml");
    assert_eq!(ended.code(), Some(7), "{}", ended.stderr);
    assert!(ended.stderr.contains("its limit of output bytes") && ended.stderr.contains("--max-output"));
    desk.write("policy.toml", "[permissions]\nguest-memory = \"4M\"\n");
    let plan: Value =
        serde_json::from_str(&desk.says("explain words.wasm --input in --json --policy policy.toml"))
            .unwrap();
    assert_eq!(plan["spec"]["permissions"]["guest_memory_bytes_max"], 4 << 20);
}

/// A cluster whose coordinator has a policy.
struct Guarded {
    cluster: Cluster,
    desk: Desk,
}

impl Guarded {
    fn new(policy: &str) -> Self {
        let setup = Setup { workers: 1, lease: "30s", policy: Some(policy.to_owned()), ..Setup::default() };
        Self { cluster: Cluster::start(setup), desk: Desk::new() }
    }

    fn submit(&self, plugin: &str, id: &str, args: &str) -> Ended {
        let mut submit = self.cluster.command(&["submit", "--quiet", "--job-id", id]);
        submit.arg(self.desk.path(plugin)).arg("--input").arg(self.desk.path("in"));
        submit.arg("--output").arg(self.cluster.output(id)).args(args.split_whitespace());
        submit.env("MR_ENGINE_CACHE_DIR", shared_cache());
        run(submit)
    }

    #[track_caller]
    fn refuses(&self, plugin: &str, args: &str, code: i32, sentence: &str) {
        let ended = self.submit(plugin, "refused", args);
        let path = self.desk.path(plugin).display().to_string();
        assert_eq!(ended.stderr.replace(&path, plugin), format!("mr-engine: {sentence}\n"));
        assert_eq!(ended.code(), Some(code));
        assert!(!self.cluster.output("refused").exists());
        self.cluster.says(&["job", "status", "refused"], 2, &["job refused is not known"]);
    }

    /// Components that the coordinator keeps.
    fn kept(&self) -> Vec<String> {
        names(Path::new(&self.cluster.path("coordinator/components")))
    }
}

#[test]
fn a_coordinator_takes_what_its_policy_allows() {
    let policy = format!(
        "[permissions]\nmax-output = \"1K\"\ntask-timeout = \"30s\"\n\n[plugins]\nsigned-by = [\"{OPENSSL_WORD}\"]\n"
    );
    let mut guarded = Guarded::new(&policy);
    let unsigned = format!(
        "plugin words.wasm is not signed, and the policy policy.toml takes plugins that are signed by {OPENSSL_WORD}; \
         sign it with `mr-engine sign`"
    );
    guarded.refuses("words.wasm", "", 5, &unsigned);
    guarded.desk.says("keygen bob.key");
    guarded.desk.says("sign words.wasm --key alice.key --out signed.wasm");
    let mut tampered = guarded.desk.read("signed.wasm");
    // The description of the plugin: it still compiles, and is what somebody else wants it to be.
    let name = b"wordcount";
    let at = tampered.windows(name.len()).rposition(|bytes| bytes == name).unwrap();
    tampered[at] = b'W';
    guarded.desk.write("tampered.wasm", tampered);
    let wrong = format!(
        "plugin tampered.wasm has a signature of {OPENSSL_WORD} that is not of this content: it was changed after it \
         was signed; take it from where it was signed, or have it built and signed again (the policy policy.toml takes \
         signed plugins)"
    );
    guarded.refuses("tampered.wasm", "", 5, &wrong);
    let over = "the job sets its limit of output bytes to 2K, and the policy policy.toml allows 1K; give --max-output \
        1K or less";
    guarded.refuses("signed.wasm", "--max-output 2K", 2, over);
    let over = "the job sets its limit of time without progress to 31s, and the policy policy.toml allows 30s; give \
        --task-timeout 30s or less";
    guarded.refuses("signed.wasm", "--task-timeout 31s", 2, over);
    assert_eq!(guarded.kept(), [""; 0], "what is refused is not kept");

    let ended = guarded.submit("signed.wasm", "done", "");
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
    let part = guarded.cluster.output("done").join("part-r-00000");
    assert_eq!(fs::read_to_string(part).unwrap(), "a\t2\nb\t1\n");
    // What nobody asked for is granted up to the cap, and no further.
    let words: String = (0..1000).map(|number| format!("word-{number}\n")).collect();
    guarded.desk.write("in", words);
    let ended = guarded.submit("signed.wasm", "large", "");
    assert_eq!(ended.code(), Some(7), "{}", ended.stderr);
    assert!(ended.stderr.contains("its limit of output bytes") && ended.stderr.contains("--max-output"));
    guarded.cluster.assert_idle(&["done"]);
}

#[test]
fn a_coordinator_looks_again_under_a_new_policy() {
    let mut guarded = Guarded::new("");
    assert_eq!(guarded.submit("words.wasm", "before", "").code(), Some(0));
    guarded.cluster.coordinator.kill();
    fs::write(guarded.cluster.path("policy.toml"), "plugins.max-size = \"1K\"\n").unwrap();
    guarded.cluster.start_coordinator();
    guarded.cluster.wait_until_live(1);
    // What was accepted stays accepted; the same plugin in another job does not.
    assert_eq!(guarded.submit("words.wasm", "before", "").code(), Some(0));
    let bytes = guarded.desk.read("words.wasm").len();
    let sentence = format!(
        "plugin words.wasm has {bytes} bytes, and the policy policy.toml allows 1K; strip its debug information"
    );
    guarded.refuses("words.wasm", "", 5, &sentence);
    fs::write(guarded.cluster.path("policy.toml"), "plugins.signed-by = []\n").unwrap();
    guarded.cluster.restart_coordinator();
    guarded.cluster.wait_until_live(1);
    let sentence = "plugin words.wasm is not signed, and the policy policy.toml takes plugins that are signed by nobody; \
        sign it with `mr-engine sign`";
    guarded.refuses("words.wasm", "", 5, sentence);
}

#[test]
fn a_coordinator_opens_the_folders_of_its_policy_only() {
    let mut guarded = Guarded::new("");
    let (desk, outputs) = (guarded.desk.path(""), guarded.cluster.path("outputs"));
    let desk = desk.canonicalize().unwrap().join("open");
    let policy = |inputs: &Path, outputs: &Path| {
        format!("data = {{ inputs = [{inputs:?}], outputs = [{outputs:?}] }}\n")
    };
    fs::write(guarded.cluster.path("policy.toml"), policy(&desk, &outputs)).unwrap();
    guarded.cluster.restart_coordinator();
    guarded.cluster.wait_until_live(1);
    let closed =
        format!("the input in is not open to jobs, and the policy policy.toml opens {} only", desk.display());
    let path = guarded.desk.path("in").display().to_string();
    let ended = guarded.submit("words.wasm", "refused", "");
    assert_eq!(
        (ended.code(), ended.stderr.replace(&path, "in")),
        (Some(2), format!("mr-engine: {closed}\n"))
    );
    // Nobody gets out of an open folder by a link.
    fs::create_dir(&desk).unwrap();
    std::os::unix::fs::symlink(guarded.desk.path("in"), desk.join("link")).unwrap();
    let submit = |input: &Path, output: &Path| {
        let mut submit = guarded.cluster.command(&["submit", "--quiet", "--job-id", "linked"]);
        submit.arg(guarded.desk.path("words.wasm")).arg("--input").arg(input).arg("--output").arg(output);
        submit.env("MR_ENGINE_CACHE_DIR", shared_cache());
        run(submit)
    };
    let ended = submit(&desk.join("link"), &outputs.join("linked"));
    assert!(ended.stderr.contains(" leads to ") && ended.code() == Some(2), "{}", ended.stderr);
    fs::copy(guarded.desk.path("in"), desk.join("in")).unwrap();
    let elsewhere = guarded.desk.path("out");
    let ended = submit(&desk.join("in"), &elsewhere);
    assert!(ended.stderr.contains("the output ") && ended.code() == Some(2), "{}", ended.stderr);
    assert!(!elsewhere.exists());
    assert_eq!(submit(&desk.join("in"), &outputs.join("linked")).code(), Some(0));
}

#[test]
fn a_worker_has_a_policy_of_its_own() {
    let start = || {
        let setup = Setup { workers: 0, lease: "30s", ..Setup::default() };
        Guarded { cluster: Cluster::start(setup), desk: Desk::new() }
    };
    for (policy, sentence) in [
        ("plugins.signed-by = []\n", "is not signed, and the policy"),
        (
            "permissions = { max-record = \"512K\" }\n",
            "the job sets its limit of record size to 1M, and the policy",
        ),
        ("data.inputs = [\"/nowhere\"]\n", "is not open to jobs, and the policy"),
        ("data.outputs = [\"/nowhere\"]\n", "is not open to jobs, and the policy"),
    ] {
        let mut guarded = start();
        let file = guarded.cluster.path("worker.toml");
        fs::write(&file, policy).unwrap();
        guarded.cluster.add_worker(&["--policy", file.to_str().unwrap()]);
        guarded.cluster.wait_until_live(1);
        let ended = guarded.submit("words.wasm", "refused", "--max-attempts 2");
        assert_eq!(ended.code(), Some(9), "{}", ended.stderr);
        assert!(ended.stderr.contains("a worker refuses the job: "), "{}", ended.stderr);
        assert!(ended.stderr.contains(sentence), "{}", ended.stderr);
    }
}
