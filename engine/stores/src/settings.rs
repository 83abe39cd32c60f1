//! Who asks, and where: credentials, region and endpoint, from the usual environment and files alone. What
//! is secret is never shown, not even to a debugger's print.

use std::fmt;
use std::path::PathBuf;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};

use crate::error::{Problem, StoreError};
use crate::profile::{self, Section};

/// Variables that go to the client as they are: roles of containers and machines, and switches.
const HANDED_ON: [(&str, AmazonS3ConfigKey); 11] = [
    ("AWS_WEB_IDENTITY_TOKEN_FILE", AmazonS3ConfigKey::WebIdentityTokenFile),
    ("AWS_ROLE_ARN", AmazonS3ConfigKey::RoleArn),
    ("AWS_ROLE_SESSION_NAME", AmazonS3ConfigKey::RoleSessionName),
    ("AWS_ENDPOINT_URL_STS", AmazonS3ConfigKey::StsEndpoint),
    ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", AmazonS3ConfigKey::ContainerCredentialsRelativeUri),
    ("AWS_CONTAINER_CREDENTIALS_FULL_URI", AmazonS3ConfigKey::ContainerCredentialsFullUri),
    ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", AmazonS3ConfigKey::ContainerAuthorizationTokenFile),
    ("AWS_METADATA_ENDPOINT", AmazonS3ConfigKey::MetadataEndpoint),
    ("AWS_SKIP_SIGNATURE", AmazonS3ConfigKey::SkipSignature),
    ("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", AmazonS3ConfigKey::VirtualHostedStyleRequest),
    ("AWS_REQUEST_PAYER", AmazonS3ConfigKey::RequestPayer),
];

/// Kinds of profiles that ask somebody else for keys, which nothing here does.
const INDIRECT: [&str; 4] = ["credential_process", "sso_session", "sso_start_url", "role_arn"];

/// Where stores are and how to show them who asks.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    region: Option<String>,
    endpoint: Option<String>,
    allow_http: bool,
    keys: Option<Keys>,
    handed_on: Vec<(AmazonS3ConfigKey, Secret)>,
}

#[derive(Debug, Clone)]
struct Keys {
    id: Secret,
    secret: Secret,
    token: Option<Secret>,
}

/// Text that shows itself to nobody.
#[derive(Clone)]
struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

impl Settings {
    /// What the environment of this process and the files it names say.
    ///
    /// # Errors
    /// As [`Settings::read`].
    pub fn from_environment() -> Result<Self, StoreError> {
        Self::read(&|name| std::env::var(name).ok())
    }

    /// The same from variables that `variable` knows, for whoever has them from elsewhere.
    ///
    /// # Errors
    /// One of two keys is missing, a file or a profile that is named cannot be read, or the profile asks
    /// for keys in a way that is not supported.
    pub fn read(variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, StoreError> {
        let var =
            |name: &str| variable(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let first = |names: &[&str]| names.iter().find_map(|name| var(name));
        let named = first(&["AWS_PROFILE", "AWS_DEFAULT_PROFILE"]);
        let profile = Profile::read(&var, named.as_deref())?;
        let keys = match (var("AWS_ACCESS_KEY_ID"), var("AWS_SECRET_ACCESS_KEY")) {
            (Some(id), Some(secret)) => Some(Keys::new(id, secret, var("AWS_SESSION_TOKEN"))),
            (None, None) => profile.keys(named.as_deref())?,
            (Some(_), None) => {
                return Err(setting("AWS_SECRET_ACCESS_KEY", "it is not set, but AWS_ACCESS_KEY_ID is"));
            }
            (None, Some(_)) => {
                return Err(setting("AWS_ACCESS_KEY_ID", "it is not set, but AWS_SECRET_ACCESS_KEY is"));
            }
        };
        let endpoint = first(&["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"]);
        let endpoint = endpoint.or_else(|| profile.value("endpoint_url"));
        let region = first(&["AWS_REGION", "AWS_DEFAULT_REGION"]).or_else(|| profile.value("region"));
        let allow_http =
            var("AWS_ALLOW_HTTP").is_some_and(|text| text.eq_ignore_ascii_case("true") || text == "1");
        let handed_on = HANDED_ON.iter().filter_map(|(name, key)| Some((*key, Secret(var(name)?)))).collect();
        let settings = Self { region, endpoint, allow_http, keys, handed_on };
        settings.check_endpoint()?;
        Ok(settings)
    }

    /// A client's builder for `bucket`, without transport.
    pub(crate) fn builder(&self, bucket: &str) -> AmazonS3Builder {
        let mut builder = AmazonS3Builder::new().with_bucket_name(bucket).with_allow_http(self.allow_http);
        if let Some(region) = &self.region {
            builder = builder.with_region(region);
        }
        if let Some(endpoint) = &self.endpoint {
            // An endpoint without TLS was asked for in so many words.
            let plain = endpoint.starts_with("http://");
            builder = builder.with_endpoint(endpoint).with_allow_http(plain || self.allow_http);
        }
        for (key, value) in &self.handed_on {
            builder = builder.with_config(*key, &value.0);
        }
        if let Some(keys) = &self.keys {
            builder = builder.with_access_key_id(&keys.id.0).with_secret_access_key(&keys.secret.0);
            if let Some(token) = &keys.token {
                builder = builder.with_token(&token.0);
            }
        }
        builder
    }

    /// Host and port of the machine's metadata, where somebody named them.
    pub(crate) fn metadata(&self) -> Option<String> {
        let named = self.handed_on.iter().find(|(key, _)| *key == AmazonS3ConfigKey::MetadataEndpoint);
        let (_, endpoint) = named?;
        endpoint.0.split_once("://").map(|(_, rest)| rest.split('/').next().unwrap_or_default().to_owned())
    }

    fn check_endpoint(&self) -> Result<(), StoreError> {
        let Some(endpoint) = &self.endpoint else { return Ok(()) };
        let reason = match reqwest::Url::parse(endpoint) {
            Ok(url) if !url.username().is_empty() || url.password().is_some() => {
                "names and passwords do not belong in it"
            }
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.host_str().is_some() => return Ok(()),
            _ => "it is no address that begins with http:// or https://",
        };
        Err(setting("AWS_ENDPOINT_URL", reason))
    }
}

impl Keys {
    fn new(id: String, secret: String, token: Option<String>) -> Self {
        Self { id: Secret(id), secret: Secret(secret), token: token.map(Secret) }
    }
}

/// What two files say of one profile.
struct Profile {
    credentials: Section,
    config: Section,
}

impl Profile {
    fn read(var: &dyn Fn(&str) -> Option<String>, named: Option<&str>) -> Result<Self, StoreError> {
        let home = var("HOME").map(PathBuf::from);
        let path = |variable: &str, file: &str| {
            var(variable)
                .map(PathBuf::from)
                .or_else(|| home.as_ref().map(|home| home.join(".aws").join(file)))
        };
        let name = named.unwrap_or("default");
        let read = |path: Option<PathBuf>, prefixed: bool| match path {
            Some(path) => {
                profile::read(&path, name, prefixed).map_err(|reason| setting("AWS_PROFILE", &reason))
            }
            None => Ok(None),
        };
        let credentials = read(path("AWS_SHARED_CREDENTIALS_FILE", "credentials"), false)?;
        let config = read(path("AWS_CONFIG_FILE", "config"), true)?;
        if let (Some(named), None, None) = (named, &credentials, &config) {
            let reason = format!(
                "there is no profile {named:?} in ~/.aws/credentials and ~/.aws/config, or the files named instead"
            );
            return Err(setting("AWS_PROFILE", &reason));
        }
        Ok(Self { credentials: credentials.unwrap_or_default(), config: config.unwrap_or_default() })
    }

    fn value(&self, key: &str) -> Option<String> {
        [&self.credentials, &self.config].into_iter().find_map(|section| section.get(key)).cloned()
    }

    fn keys(&self, named: Option<&str>) -> Result<Option<Keys>, StoreError> {
        let (id, secret) = (self.value("aws_access_key_id"), self.value("aws_secret_access_key"));
        if let (Some(id), Some(secret)) = (id, secret) {
            return Ok(Some(Keys::new(id, secret, self.value("aws_session_token"))));
        }
        let indirect = INDIRECT.iter().find(|key| self.value(key).is_some());
        if let (Some(named), Some(key)) = (named, indirect) {
            let reason = format!(
                "profile {named:?} has {key} and no keys, which is not supported; set the variables that aws configure export-credentials --profile {named} --format env prints"
            );
            return Err(setting("AWS_PROFILE", &reason));
        }
        Ok(None)
    }
}

fn setting(name: &str, reason: &str) -> StoreError {
    StoreError::new(name, Problem::Setting(reason.into()))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::fs;

    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Settings, StoreError> {
        let variables: HashMap<_, _> = variables.iter().copied().collect();
        Settings::read(&|name| variables.get(name).map(|value| (*value).to_owned()))
    }

    /// The environment wins over files, and each file has its part of a profile.
    #[test]
    fn settings_come_from_the_environment_and_then_from_files() {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join(".aws")).unwrap();
        let at = home.path().to_str().unwrap();
        fs::write(
            home.path().join(".aws/credentials"),
            "[default]\naws_access_key_id = A\naws_secret_access_key = hidden-1\n[sso]\n",
        )
        .unwrap();
        let config = "[default]\nregion = eu-9\nendpoint_url = http://h:1\n[profile sso]\nsso_session = x\n";
        fs::write(home.path().join(".aws/config"), config).unwrap();

        let settings = read(&[("HOME", at)]).unwrap();
        assert_eq!(settings.region.as_deref(), Some("eu-9"));
        assert_eq!(settings.endpoint.as_deref(), Some("http://h:1"));
        assert_eq!(settings.keys.as_ref().unwrap().secret.0, "hidden-1");

        let keys = [
            ("AWS_ACCESS_KEY_ID", "B"),
            ("AWS_SECRET_ACCESS_KEY", "hidden-2"),
            ("AWS_SESSION_TOKEN", "hidden-3"),
        ];
        let more = [
            ("HOME", at),
            ("AWS_REGION", "us-1"),
            ("AWS_ENDPOINT_URL_S3", "https://s"),
            ("AWS_ENDPOINT_URL", "https://e"),
        ];
        let settings = read(&[&keys[..], &more[..]].concat()).unwrap();
        assert_eq!(
            (settings.region.as_deref(), settings.endpoint.as_deref()),
            (Some("us-1"), Some("https://s"))
        );
        assert_eq!(settings.keys.as_ref().unwrap().secret.0, "hidden-2");
        let printed = format!("{settings:?} {:?}", settings.keys);
        assert!(!printed.contains("hidden-2") && !printed.contains("hidden-3"), "{printed}");

        let said = read(&[("HOME", at), ("AWS_PROFILE", "sso")]).unwrap_err().to_string();
        assert!(said.contains("sso_session") && said.contains("export-credentials"), "{said}");
        let said = read(&[("HOME", at), ("AWS_PROFILE", "none")]).unwrap_err().to_string();
        assert!(said.contains("no profile \"none\""), "{said}");
        let said = read(&[keys[0]]).unwrap_err().to_string();
        assert!(said.starts_with("AWS_SECRET_ACCESS_KEY: it is not set"), "{said}");
        let said = read(&[("AWS_ENDPOINT_URL", "localhost:9000")]).unwrap_err().to_string();
        assert!(said.contains("http:// or https://"), "{said}");
        let said = read(&[("AWS_ENDPOINT_URL", "http://me:hidden@h")]).unwrap_err().to_string();
        assert!(said.contains("do not belong in it") && !said.contains("hidden"), "{said}");
    }
}
