//! All benchmarks on small inputs: they run, their outputs are right, and the run is kept. What
//! they find of speed is not looked at.

use std::process::Command;

#[test]
fn a_quick_run_finds_every_output_right() {
    let kept = tempfile::NamedTempFile::new().unwrap();
    let mut bench = Command::new(env!("CARGO_BIN_EXE_mr-bench"));
    bench.args(["all", "--quick", "--runs", "1", "--out"]).arg(kept.path());
    let run = bench.output().unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{said}\n{}", String::from_utf8_lossy(&run.stderr));
    let kept = std::fs::read_to_string(kept.path()).unwrap();
    for section in
        ["word count", "sort", "grep", "small files", "crossing", "start-up", "peak memory", "cluster"]
    {
        assert!(kept.lines().any(|line| line.starts_with(section)), "{section} is missing in\n{kept}");
    }
    assert!(kept.ends_with("every output was right\n"), "{kept}");
}
