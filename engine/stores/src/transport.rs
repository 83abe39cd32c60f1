//! Requests over HTTP, with patience: what fails for a moment is asked again, with growing pauses and up to
//! a deadline, and what a server refuses becomes a value rather than a text. TLS is rustls with ring and the
//! system's certificates. Knows nothing of stores; must not look at or show headers of requests.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use http::{HeaderMap, StatusCode};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody,
    HttpService,
};
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;

use crate::error::shown;

/// Pause before the second try; it doubles with each further one.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
/// Longest pause between tries.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// Time that a connection may take to come about. On a loaded path it takes a second; nobody answers later.
const CONNECT_TIME: Duration = Duration::from_secs(5);
/// Time that is spent on a server that cannot be connected to: a wrong address is to be told soon, a
/// server that is started again is to be waited for.
const UNREACHABLE_TIME: Duration = Duration::from_secs(15);
/// Time that is spent on the metadata of a machine: where there is none, nobody answers at all.
const METADATA_TIME: Duration = Duration::from_secs(5);
/// Bytes of an error's body that are looked at.
const REFUSAL_BYTES_MAX: usize = 16 * 1024;

/// How long servers are waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Time for one request with all its tries.
    pub deadline: Duration,
    /// Time that a connection may be silent during a request.
    pub silence: Duration,
}

impl Default for Patience {
    /// Two minutes for a request: what is restarted or throttled comes back within that. One minute of
    /// silence: 8 MiB, the most that one request sends, take less on any line that is worth using.
    fn default() -> Self {
        Self { deadline: Duration::from_secs(120), silence: Duration::from_secs(60) }
    }
}

/// The clients of HTTP, as the object store's client and our own reading use them.
#[derive(Debug, Clone)]
pub(crate) struct Transport {
    proxied: reqwest::Client,
    /// For this machine and its metadata, which no proxy can reach.
    direct: reqwest::Client,
    patience: Patience,
    /// Host and port of the machine's metadata, where they are not the usual ones.
    metadata: Option<String>,
}

/// A server's refusal, by its status.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub status: u16,
    /// What the server calls it, and its reason, both cleaned; empty where it said nothing.
    pub code: String,
    pub message: String,
    /// The region that the server sends us to.
    pub region: Option<String>,
    /// `content-range`, which tells the length of what has no such range.
    pub content_range: Option<String>,
    /// Whether it came from a machine's metadata, thus is about credentials.
    pub metadata: bool,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "status {}", self.status)?;
        if !self.code.is_empty() {
            write!(f, ", {}", self.code)?;
        }
        if self.message.is_empty() { Ok(()) } else { write!(f, ": {}", self.message) }
    }
}

impl Error for Refusal {}

/// A server that went on failing until the patience with it was over.
#[derive(Debug, Clone)]
pub(crate) struct Exhausted {
    pub last: String,
    pub tries: u32,
    /// Whether it was a machine's metadata.
    pub metadata: bool,
}

impl fmt::Display for Exhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, at the last of {} tries", self.last, self.tries)
    }
}

impl Error for Exhausted {}

/// When a response was made, by the server's clock, as an extension of the response.
#[derive(Debug, Clone)]
pub(crate) struct ServerDate(pub String);

impl Transport {
    /// Clients for everything.
    pub(crate) fn new(patience: Patience) -> Result<Self, String> {
        let tls = tls()?;
        let client = |direct: bool| {
            let builder = reqwest::Client::builder()
                .tls_backend_preconfigured(tls.clone())
                .user_agent(concat!("mr-engine/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(CONNECT_TIME.min(patience.deadline))
                .read_timeout(patience.silence)
                // Addresses may hold signatures, which are nothing for the next server.
                .referer(false)
                .http1_only();
            let builder = if direct { builder.no_proxy() } else { builder };
            builder.build().map_err(|error| chain(&error))
        };
        Ok(Self { proxied: client(false)?, direct: client(true)?, patience, metadata: None })
    }

    /// The same clients where a machine's metadata are served at `authority`.
    pub(crate) fn with_metadata(&self, authority: Option<String>) -> Self {
        Self { metadata: authority, ..self.clone() }
    }

    /// One request with its tries.
    pub(crate) async fn execute(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let near = Near::of(request.uri().host().unwrap_or_default());
        let client = if near == Near::No { &self.proxied } else { &self.direct };
        let authority = request.uri().authority().map(|authority| authority.as_str());
        let metadata = near == Near::Metadata || authority.is_some() && authority == self.metadata.as_deref();
        let deadline = Instant::now() + if metadata { METADATA_TIME } else { self.patience.deadline };
        let begun = Instant::now();
        let (mut pause, mut tries) = (PAUSE_FIRST, 0);
        loop {
            tries += 1;
            let left = deadline.saturating_duration_since(Instant::now());
            let answer = tokio::time::timeout(left, client.call(request.clone())).await;
            let mut time_is_up = answer.is_err();
            let last = match answer {
                Ok(Ok(response)) => match judge(response, metadata).await {
                    Verdict::Fine(response) => return Ok(response),
                    Verdict::Final(refusal) => return Err(HttpError::new(HttpErrorKind::Unknown, refusal)),
                    Verdict::Passing(last) => last,
                },
                Ok(Err(error)) => {
                    let unreachable = error.kind() == HttpErrorKind::Connect;
                    time_is_up = unreachable && begun.elapsed() + pause > UNREACHABLE_TIME;
                    chain(&error)
                }
                Err(_) => format!("no answer within {:?}", begun.elapsed().min(self.patience.deadline)),
            };
            if time_is_up || Instant::now() + pause >= deadline {
                return Err(HttpError::new(HttpErrorKind::Unknown, Exhausted { last, tries, metadata }));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }
}

#[async_trait]
impl HttpService for Transport {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        self.execute(request).await
    }
}

impl HttpConnector for Transport {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

/// Whether a host is on this machine or serves its metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Near {
    No,
    Loopback,
    Metadata,
}

impl Near {
    fn of(host: &str) -> Self {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        match host.parse::<std::net::IpAddr>() {
            Ok(address) if address.is_loopback() => Near::Loopback,
            Ok(std::net::IpAddr::V4(address)) if address.is_link_local() => Near::Metadata,
            Ok(address) if address.to_string() == "fd00:ec2::254" => Near::Metadata,
            Err(_) if host.eq_ignore_ascii_case("localhost") => Near::Loopback,
            _ => Near::No,
        }
    }
}

/// What an answer means.
enum Verdict {
    Fine(HttpResponse),
    /// It would be the same again.
    Final(Refusal),
    /// It may be another one in a moment.
    Passing(String),
}

async fn judge(response: HttpResponse, metadata: bool) -> Verdict {
    let (mut parts, body) = response.into_parts();
    if parts.status.is_success() {
        if let Some(date) = text(&parts.headers, "date") {
            parts.extensions.insert(ServerDate(date));
        }
        return Verdict::Fine(HttpResponse::from_parts(parts, body));
    }
    let body = beginning(body).await;
    let refusal = Refusal {
        status: parts.status.as_u16(),
        code: element(&body, "Code"),
        message: element(&body, "Message"),
        region: text(&parts.headers, "x-amz-bucket-region"),
        content_range: text(&parts.headers, "content-range"),
        metadata,
    };
    let passing = parts.status.is_server_error() && parts.status != StatusCode::NOT_IMPLEMENTED
        || matches!(parts.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
        || refusal.code == "RequestTimeout";
    if passing { Verdict::Passing(refusal.to_string()) } else { Verdict::Final(refusal) }
}

/// The first bytes of a body; none of it where it does not come whole.
async fn beginning(body: HttpResponseBody) -> Bytes {
    let (mut stream, mut all) = (body.bytes_stream(), Vec::new());
    while let Some(Ok(piece)) = stream.next().await {
        all.extend_from_slice(&piece[..piece.len().min(REFUSAL_BYTES_MAX - all.len())]);
        if all.len() == REFUSAL_BYTES_MAX {
            break;
        }
    }
    all.into()
}

/// The text of the first element `name`, for people and for the one code that means another try.
fn element(body: &[u8], name: &str) -> String {
    let body = String::from_utf8_lossy(body);
    let text =
        body.split_once(&format!("<{name}>")).and_then(|(_, rest)| rest.split_once(&format!("</{name}>")));
    text.map(|(text, _)| shown(text)).unwrap_or_default()
}

pub(crate) fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(shown)
}

/// An error with its causes, without what repeats itself.
fn chain(error: &dyn Error) -> String {
    let mut texts: Vec<String> = vec![error.to_string()];
    let mut link = error.source();
    while let Some(error) = link {
        let text = error.to_string();
        if texts.last().is_none_or(|last| !last.contains(&text)) {
            texts.push(text);
        }
        link = error.source();
    }
    shown(texts.last().map_or("", |text| text))
}

fn tls() -> Result<ClientConfig, String> {
    let builder = || {
        ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())
    };
    match builder()?.with_platform_verifier() {
        Ok(builder) => Ok(builder.with_no_client_auth()),
        // Without certificates of the system no server can prove itself, but plain HTTP works.
        Err(_) => Ok(builder()?.with_root_certificates(RootCertStore::empty()).with_no_client_auth()),
    }
}
