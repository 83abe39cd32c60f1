//! A web server whose answers are a function of the request.

use std::sync::Arc;

use crate::listen::{Answer, Listening, cut, whole};

/// A web server under way.
#[derive(Debug)]
pub struct Web {
    listening: Listening,
}

impl Web {
    /// Serves what `answer` makes of a request without its body.
    pub fn start(
        answer: impl Fn(&http::Request<()>) -> http::Response<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        let answer = Arc::new(answer);
        let listening = Listening::start(move |request| {
            let answer = Arc::clone(&answer);
            async move {
                let answered: Answer = Some(answer(&request.map(|_| ())).map(whole));
                answered
            }
        });
        Self { listening }
    }

    /// Serves one file as most servers do, with ranges and a tag that its bytes decide; the first `cuts`
    /// answers break off half way.
    pub fn file(bytes: Vec<u8>, tag: &'static str, cuts: usize) -> Self {
        let bytes = Arc::new((bytes, std::sync::atomic::AtomicUsize::new(cuts)));
        let listening = Listening::start(move |request| {
            let bytes = Arc::clone(&bytes);
            async move {
                let range =
                    request.headers().get("range").and_then(|range| range.to_str().ok()).map(str::to_owned);
                let refused = request.headers().get("if-match").is_some_and(|wanted| wanted != tag);
                let response = http::Response::builder().header("etag", tag);
                let all = &bytes.0;
                let answered = match (refused, range.and_then(|range| parse(&range, all.len()))) {
                    (true, _) => response.status(412).body(whole(Vec::new())),
                    (false, None) => response
                        .status(416)
                        .header("content-range", format!("bytes */{}", all.len()))
                        .body(whole(Vec::new())),
                    (false, Some((from, to))) => {
                        let response = response
                            .status(206)
                            .header("content-range", format!("bytes {from}-{}/{}", to - 1, all.len()));
                        let part = all[from..to].to_vec();
                        let cutting = part.len() > 1
                            && bytes
                                .1
                                .fetch_update(
                                    std::sync::atomic::Ordering::SeqCst,
                                    std::sync::atomic::Ordering::SeqCst,
                                    |left| left.checked_sub(1),
                                )
                                .is_ok();
                        if cutting {
                            let half = part[..part.len() / 2].to_vec();
                            response.header("content-length", part.len()).body(cut(half.into()))
                        } else {
                            response.body(whole(part))
                        }
                    }
                };
                Some(answered.unwrap())
            }
        });
        Self { listening }
    }

    /// Its address, with this path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.listening.address)
    }
}

/// `bytes=from-to`, as a half-open range of a file of `length` bytes.
fn parse(range: &str, length: usize) -> Option<(usize, usize)> {
    let (from, to) = range.strip_prefix("bytes=")?.split_once('-')?;
    let (from, to): (usize, usize) = (from.parse().ok()?, to.parse().ok()?);
    (from < length).then(|| (from, length.min(to + 1)))
}
