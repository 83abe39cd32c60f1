//! `mr-engine cluster init` and `add`: certificates for the nodes of a cluster, and what to do with them.
//! Nothing that exists is overwritten.

use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;

use anyhow::Result;
use mr_net::{Authority, Certificate, IdentityFiles, NodeRole};

use crate::args::cluster::{AddArgs, AddRole, InitArgs};

/// Workers where nothing is said of them.
const WORKERS_DEFAULT: u32 = 1;
/// Name of the coordinator, and of the client where nothing is said: their files are named after it.
const COORDINATOR: &str = "coordinator";
const CLIENT: &str = "client";
/// Port in the commands that are shown, the coordinator's own default.
const PORT_SHOWN: u16 = 7077;

/// Mints an authority and a certificate for each node.
pub fn init(args: &InitArgs) -> Result<()> {
    let workers = match (&args.worker[..], args.workers) {
        ([], number) => worker_names(number.unwrap_or(WORKERS_DEFAULT)),
        (names, _) => names.to_vec(),
    };
    let clients = if args.client.is_empty() { vec![CLIENT.to_owned()] } else { args.client.clone() };
    mint(&args.dir, &args.coordinator_host, &workers, &clients)?;
    let host = args.coordinator_host.first().map_or("HOST", String::as_str);
    print(&instructions(&args.dir, host, &workers, &clients))
}

/// Mints a certificate for another node.
pub fn add(args: &AddArgs) -> Result<()> {
    let authority = Authority::open(&args.dir)?;
    let role = match args.role {
        AddRole::Coordinator => NodeRole::Coordinator,
        AddRole::Worker => NodeRole::Worker,
        AddRole::Client => NodeRole::Client,
    };
    authority.issue(&Certificate::new(role, &args.name, &args.host))?;
    print(&format!(
        "Copy {} to where the {role} runs. ca.key stays here.\n",
        files(&args.dir, role, &args.name)
    ))
}

/// The names of numbered workers.
pub fn worker_names(number: u32) -> Vec<String> {
    (1..=number).map(|number| format!("worker-{number}")).collect()
}

/// Makes the files of a new cluster.
pub fn mint(dir: &Path, hosts: &[String], workers: &[String], clients: &[String]) -> Result<()> {
    let authority = Authority::create(dir)?;
    authority.issue(&Certificate::new(NodeRole::Coordinator, COORDINATOR, hosts))?;
    for name in workers {
        authority.issue(&Certificate::new(NodeRole::Worker, name, &[]))?;
    }
    for name in clients {
        authority.issue(&Certificate::new(NodeRole::Client, name, &[]))?;
    }
    Ok(())
}

/// The three files that a node needs, as people name them.
fn files(dir: &Path, role: NodeRole, name: &str) -> String {
    let files = IdentityFiles::named(dir, role, name);
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let (certificate, key) = (name(&files.certificate), name(&files.key));
    format!("{}, {certificate} and {key}", files.authority.display())
}

fn instructions(dir: &Path, host: &str, workers: &[String], clients: &[String]) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = write_instructions(&mut out, dir, host, workers, clients);
    out
}

fn write_instructions(
    out: &mut String,
    dir: &Path,
    host: &str,
    workers: &[String],
    clients: &[String],
) -> std::fmt::Result {
    let shown = dir.display();
    writeln!(out, "Certificates are in {shown}. Copy to each machine, into a folder IDENTITY of its own:\n")?;
    writeln!(out, "  coordinator   {}", files(dir, NodeRole::Coordinator, COORDINATOR))?;
    for name in workers {
        writeln!(out, "  {name:<13} {}", files(dir, NodeRole::Worker, name))?;
    }
    for name in clients {
        writeln!(out, "  {name:<13} {}", files(dir, NodeRole::Client, name))?;
    }
    writeln!(out, "\nKeys (.key) go to their own node only, readable by its user alone (chmod 600). ca.key goes nowhere:")?;
    writeln!(out, "whoever has it can make nodes of the cluster. Keep {shown} safe, for `mr-engine cluster add`.\n")?;
    writeln!(out, "Then run, with folders as you like:\n")?;
    writeln!(out, "  mr-engine coordinator --identity IDENTITY --data-dir /var/lib/mr-engine")?;
    writeln!(out, "  mr-engine worker --identity IDENTITY --coordinator {host}:{PORT_SHOWN} --data-dir /var/lib/mr-engine")?;
    writeln!(
        out,
        "  mr-engine submit x.wasm --input IN --output OUT --cluster {host}:{PORT_SHOWN} --identity IDENTITY"
    )
}

fn print(text: &str) -> Result<()> {
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_gets_its_files_and_nothing_is_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let (workers, clients) = (worker_names(2), vec![CLIENT.to_owned(), "ann".to_owned()]);
        mint(dir.path(), &["db.example".to_owned(), "10.0.0.1".to_owned()], &workers, &clients).unwrap();
        let mut names: Vec<String> = std::fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        let stems = ["ca", "client-ann", "client", "coordinator", "worker-worker-1", "worker-worker-2"];
        let mut expected: Vec<String> =
            stems.iter().flat_map(|stem| [format!("{stem}.key"), format!("{stem}.pem")]).collect();
        expected.sort();
        assert_eq!(names, expected);
        let said = instructions(dir.path(), "db.example", &workers, &clients);
        for name in names.iter().filter(|name| *name != "ca.key") {
            assert!(said.contains(name.as_str()), "{name} is in {said}");
        }
        let again = mint(dir.path(), &[], &workers, &clients).unwrap_err().to_string();
        assert!(again.contains("exists and is not overwritten"), "{again}");
        let authority = Authority::open(dir.path()).unwrap();
        authority.issue(&Certificate::new(NodeRole::Worker, "late", &[])).unwrap();
        assert!(files(dir.path(), NodeRole::Worker, "late").ends_with("worker-late.pem and worker-late.key"));
    }
}
