//! Which cluster is meant, and as whom: from the command line, the environment, or a configuration file,
//! in this order. Must not dial anyone.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::args::cluster::TargetArgs;
use crate::exit::UsageError;
use crate::machine;

/// Largest configuration file, in bytes: it holds an address and a path.
const FILE_BYTES_MAX: u64 = 64 << 10;

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
}

/// The cluster that is set, if any.
///
/// # Errors
/// A configuration file that cannot be read or has other keys; a cluster without an identity.
pub fn target(args: &TargetArgs) -> Result<Option<Target>, UsageError> {
    let (path, file) = match &args.config {
        // An empty variable is as good as none.
        Some(path) if !path.as_os_str().is_empty() => (Some(path.clone()), read(path, true)?),
        _ => match machine::config_file() {
            Some(path) => (Some(path.clone()), read(&path, false)?),
            None => (None, File::default()),
        },
    };
    let shown = path.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
    let given = args.cluster.clone().filter(|cluster| !cluster.is_empty());
    let (coordinator, source) = match (given, file.cluster) {
        (Some(cluster), _) => (cluster, "--cluster or MR_ENGINE_CLUSTER".to_owned()),
        (None, Some(cluster)) => (cluster, shown.clone()),
        (None, None) => return Ok(None),
    };
    check_address(&coordinator, &source)?;
    let given = args.identity.clone().filter(|dir| !dir.as_os_str().is_empty());
    // A path in a file is meant from where the file is.
    let beside = |dir: PathBuf| path.as_deref().and_then(Path::parent).map_or(dir.clone(), |base| base.join(dir));
    let identity = given.or_else(|| file.identity.map(beside)).ok_or_else(|| {
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
    let legal = address.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0)
    });
    if legal { Ok(()) } else { Err(UsageError(format!("{source}: {address:?} is not HOST:PORT"))) }
}

fn read(path: &Path, must_exist: bool) -> Result<File, UsageError> {
    let unusable = |reason: String| UsageError(format!("configuration file {}: {reason}", path.display()));
    let bytes = match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !must_exist => return Ok(File::default()),
        Err(error) => return Err(unusable(error.to_string())),
        Ok(metadata) => metadata.len(),
    };
    if bytes > FILE_BYTES_MAX {
        return Err(unusable(format!("it has {bytes} bytes, and {FILE_BYTES_MAX} are allowed")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| unusable(error.to_string()))?;
    toml::from_str(&text).map_err(|error| {
        let place = error.span().map(|span| text[..span.start.min(text.len())].lines().count().max(1));
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
