//! Which cluster is meant, and as whom, and which policy holds: from the command line, the environment, or
//! a configuration file, in this order. Must not dial anyone.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::args::cluster::TargetArgs;
use crate::exit::UsageError;
use crate::machine;

/// Largest configuration file, in bytes: it holds an address and paths.
const FILE_BYTES_MAX: u64 = 64 << 10;
/// Variable that names the configuration file, also for commands that know of no cluster.
const FILE_VARIABLE: &str = "MR_ENGINE_CONFIG";

/// A cluster and who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Address of the coordinator, `HOST:PORT`.
    pub coordinator: String,
    /// Folder with the client's identity.
    pub identity: PathBuf,
    /// Where the address comes from, for people.
    pub source: String,
}

/// What a configuration file may say.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    cluster: Option<String>,
    identity: Option<PathBuf>,
    policy: Option<PathBuf>,
}

/// A configuration file and where it is, if there is one.
struct Found {
    path: Option<PathBuf>,
    file: File,
}

impl Found {
    fn open(given: Option<&Path>) -> Result<Self, UsageError> {
        // An empty variable is as good as none.
        if let Some(path) = given.filter(|path| !path.as_os_str().is_empty()) {
            return Ok(Self { path: Some(path.to_owned()), file: read(path, true)? });
        }
        let path = machine::config_file();
        let file = path.as_ref().map_or_else(|| Ok(File::default()), |path| read(path, false))?;
        Ok(Self { path, file })
    }

    /// A path in the file is meant from where the file is.
    fn beside(&self, path: &Path) -> PathBuf {
        let folder = self.path.as_deref().and_then(Path::parent);
        folder.map_or_else(|| path.to_owned(), |folder| folder.join(path))
    }
}

/// The file of the policy that holds: the given one, or that of the configuration file, if any. `config`
/// is the configuration file that was asked for.
///
/// # Errors
/// A configuration file that cannot be read or has other keys.
pub fn policy_file(given: Option<&Path>, config: Option<&Path>) -> Result<Option<PathBuf>, UsageError> {
    if let Some(path) = given.filter(|path| !path.as_os_str().is_empty()) {
        return Ok(Some(path.to_owned()));
    }
    let variable = std::env::var_os(FILE_VARIABLE).map(PathBuf::from);
    let found = Found::open(config.or(variable.as_deref()))?;
    Ok(found.file.policy.as_ref().map(|path| found.beside(path)))
}

/// The cluster that is set, if any.
///
/// # Errors
/// A configuration file that cannot be read or has other keys; a cluster without an identity.
pub fn target(args: &TargetArgs) -> Result<Option<Target>, UsageError> {
    let found = Found::open(args.config.as_deref())?;
    let shown = found.path.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
    let given = args.cluster.clone().filter(|cluster| !cluster.is_empty());
    let (coordinator, source) = match (given, found.file.cluster.clone()) {
        (Some(cluster), _) => (cluster, "--cluster or MR_ENGINE_CLUSTER".to_owned()),
        (None, Some(cluster)) => (cluster, shown.clone()),
        (None, None) => return Ok(None),
    };
    check_address(&coordinator, &source)?;
    let given = args.identity.clone().filter(|dir| !dir.as_os_str().is_empty());
    let beside = || found.file.identity.as_ref().map(|dir| found.beside(dir));
    let identity = given.or_else(beside).ok_or_else(|| {
        UsageError(format!(
            "the cluster at {coordinator} needs a client's certificate: give --identity DIR (MR_ENGINE_IDENTITY), or \
             `identity` in the configuration file"
        ))
    })?;
    Ok(Some(Target { coordinator, identity, source }))
}

/// The cluster that is set, for commands that cannot do without.
///
/// # Errors
/// As [`target`], and where none is set.
pub fn required_target(args: &TargetArgs) -> Result<Target, UsageError> {
    target(args)?.ok_or_else(|| {
        UsageError(
            "no cluster is set: give --cluster HOST:PORT (MR_ENGINE_CLUSTER), or `cluster` in a configuration file \
             (--config, MR_ENGINE_CONFIG)"
                .to_owned(),
        )
    })
}

/// The text of a configuration file that means a cluster.
pub fn file_text(coordinator: &str, identity: &Path) -> String {
    // Values are written as TOML writes strings, whatever is in them.
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    format!("cluster = {}\nidentity = {}\n", quoted(coordinator), quoted(&identity.to_string_lossy()))
}

fn check_address(address: &str, source: &str) -> Result<(), UsageError> {
    let legal = address
        .rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0));
    if legal { Ok(()) } else { Err(UsageError(format!("{source}: {address:?} is not HOST:PORT"))) }
}

fn read(path: &Path, must_exist: bool) -> Result<File, UsageError> {
    let unusable = |reason: String| UsageError(format!("configuration file {}: {reason}", path.display()));
    let bytes = match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !must_exist => {
            return Ok(File::default());
        }
        Err(error) => return Err(unusable(error.to_string())),
        Ok(metadata) => metadata.len(),
    };
    if bytes > FILE_BYTES_MAX {
        return Err(unusable(format!("it has {bytes} bytes, and {FILE_BYTES_MAX} are allowed")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| unusable(error.to_string()))?;
    toml::from_str(&text).map_err(|error| {
        let before = |start: usize| text.bytes().take(start).filter(|byte| *byte == b'\n').count();
        let place = error.span().map(|span| before(span.start) + 1);
        let place = place.map(|line| format!("line {line}: ")).unwrap_or_default();
        unusable(format!("{place}{}", error.message().replace('\n', "; ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(config: &Path, cluster: Option<&str>, identity: Option<&str>) -> TargetArgs {
        TargetArgs {
            cluster: cluster.map(str::to_owned),
            identity: identity.map(PathBuf::from),
            config: Some(config.to_owned()),
            away_max: std::time::Duration::from_secs(1),
        }
    }

    #[test]
    fn what_is_typed_goes_before_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("config.toml");
        std::fs::write(&file, file_text("a:1", Path::new("ids \"x\""))).unwrap();
        let found = target(&args(&file, None, None)).unwrap().unwrap();
        assert_eq!((found.coordinator.as_str(), found.identity), ("a:1", dir.path().join("ids \"x\"")));
        assert_eq!(found.source, file.display().to_string());
        let found = target(&args(&file, Some("b:2"), Some("/other"))).unwrap().unwrap();
        assert_eq!((found.coordinator.as_str(), found.identity.as_path()), ("b:2", Path::new("/other")));
        std::fs::write(&file, "").unwrap();
        assert_eq!(target(&args(&file, None, None)).unwrap(), None);
        assert!(target(&args(&file, Some("b:2"), None)).unwrap_err().0.contains("--identity DIR"));
    }

    #[test]
    fn a_policy_is_meant_from_where_the_file_is() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("config.toml");
        std::fs::write(&file, "policy = \"policy.toml\"\n").unwrap();
        let found = |given: Option<&str>| policy_file(given.map(Path::new), Some(&file)).unwrap();
        assert_eq!(found(None), Some(dir.path().join("policy.toml")));
        assert_eq!(found(Some("")), Some(dir.path().join("policy.toml")));
        assert_eq!(found(Some("other.toml")), Some(PathBuf::from("other.toml")));
        std::fs::write(&file, "").unwrap();
        assert_eq!(found(None), None);
    }

    #[test]
    fn faults_name_file_and_key() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("config.toml");
        let fault = |text: &str| {
            std::fs::write(&file, text).unwrap();
            let said = target(&args(&file, None, None)).unwrap_err().0;
            said.replace(&file.display().to_string(), "FILE")
        };
        let said = fault("cluster = \"a:1\"\nidentiy = \"x\"\n");
        assert!(said.starts_with("configuration file FILE: line 2: unknown field `identiy`"), "{said}");
        let said = fault("cluster = 7\n");
        assert!(said.starts_with("configuration file FILE: line 1: invalid type: integer `7`"), "{said}");
        assert_eq!(fault("cluster = \"nowhere\"\n"), "FILE: \"nowhere\" is not HOST:PORT");
        std::fs::remove_file(&file).unwrap();
        let said = target(&args(&file, None, None)).unwrap_err().0;
        assert!(said.contains("config.toml: No such file"), "{said}");
    }
}
