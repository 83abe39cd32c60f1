//! One object on a web server: its length and state, and ranges of it. Needs a server that serves ranges
//! and says how long the object is.

use futures_util::stream::BoxStream;
use http::{Method, StatusCode};
use object_store::client::{HttpError, HttpRequest, HttpRequestBody, HttpResponse};

use bytes::Bytes;

use crate::error::{Problem, StoreError};
use crate::identity::{Identity, tag};
use crate::location::shown_url;
use crate::transport::{Refusal, Transport, text};

/// Asks for an object's first byte, which tells its length and whether ranges are served at all.
pub(crate) async fn probe(transport: &Transport, url: &str) -> Result<Identity, StoreError> {
    match ask(transport, url, "bytes=0-0", None).await {
        Ok(response) => identity(url, &response),
        // An empty object has no first byte.
        Err(Asked::Refused(refusal))
            if refusal.status == 416 && refusal.content_range.as_deref() == Some("bytes */0") =>
        {
            Ok(Identity { e_tag: None, modified: None, bytes: 0 })
        }
        Err(asked) => Err(asked.into_error(url)),
    }
}

/// The bytes `from..to` of an object of this fingerprint and length.
pub(crate) async fn read(
    transport: &Transport,
    url: &str,
    (fingerprint, bytes): (&str, u64),
    (from, to): (u64, u64),
) -> Result<BoxStream<'static, Result<Bytes, HttpError>>, StoreError> {
    let range = format!("bytes={from}-{}", to.saturating_sub(1));
    let response =
        ask(transport, url, &range, tag(fingerprint)).await.map_err(|asked| match asked.into_error(url) {
            StoreError { url, problem: Problem::Conflict } => {
                StoreError::new(url, Problem::Changed("it was written again".into()))
            }
            error => error,
        })?;
    let now = identity(url, &response)?;
    if let Some(change) = now.change(fingerprint, bytes) {
        return Err(StoreError::new(shown_url(url), Problem::Changed(change)));
    }
    let got = text(response.headers(), "content-range").unwrap_or_default();
    if !got.starts_with(&format!("bytes {from}-{}/", to.saturating_sub(1))) {
        return Err(unsuited(url, "the server sends other ranges than it is asked for"));
    }
    Ok(response.into_body().bytes_stream())
}

/// A request that did not succeed.
enum Asked {
    Refused(Refusal),
    Failed(HttpError),
    Unable(String),
}

impl Asked {
    fn into_error(self, url: &str) -> StoreError {
        let problem = match self {
            Asked::Refused(refusal) if matches!(refusal.status, 401 | 403) => {
                Problem::Refused(format!("{refusal}; it is not open to everybody"))
            }
            Asked::Refused(refusal) if refusal.status == 410 => Problem::Missing,
            Asked::Refused(refusal) => Problem::from_refusal(&refusal),
            Asked::Failed(error) => Problem::from_chain(&error),
            Asked::Unable(reason) => Problem::BadAddress(reason),
        };
        StoreError::new(shown_url(url), problem)
    }
}

async fn ask(
    transport: &Transport,
    url: &str,
    range: &str,
    tag: Option<&str>,
) -> Result<HttpResponse, Asked> {
    // A fragment is for whoever reads the object, not for the server.
    let target = url.split('#').next().unwrap_or_default();
    let target = reqwest::Url::parse(target).map_err(|error| Asked::Unable(error.to_string()))?;
    let mut request =
        http::Request::builder().method(Method::GET).uri(target.as_str()).header("range", range);
    if let Some(tag) = tag {
        request = request.header("if-match", tag);
    }
    let request: HttpRequest =
        request.body(HttpRequestBody::empty()).map_err(|error| Asked::Unable(error.to_string()))?;
    transport.execute(request).await.map_err(|error| {
        let refusal = std::error::Error::source(&error).and_then(|cause| cause.downcast_ref::<Refusal>());
        match refusal {
            // What the page says is for browsers.
            Some(refusal) => {
                Asked::Refused(Refusal { code: String::new(), message: String::new(), ..refusal.clone() })
            }
            None => Asked::Failed(error),
        }
    })
}

fn identity(url: &str, response: &HttpResponse) -> Result<Identity, StoreError> {
    if response.status() != StatusCode::PARTIAL_CONTENT {
        return Err(unsuited(url, "the server does not serve ranges; copy the file and name the copy"));
    }
    let headers = response.headers();
    let total = text(headers, "content-range").and_then(|range| range.rsplit_once('/')?.1.parse().ok());
    let bytes = total.ok_or_else(|| {
        unsuited(url, "the server does not say how long it is; copy the file and name the copy")
    })?;
    Ok(Identity { e_tag: text(headers, "etag"), modified: text(headers, "last-modified"), bytes })
}

fn unsuited(url: &str, reason: &str) -> StoreError {
    StoreError::new(shown_url(url), Problem::Unsuited(reason.into()))
}
