//! A port of the system's choice on loopback, and HTTP/1 on it, on threads of its own until it is dropped.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;

use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

/// A body that may break off.
pub type Body = UnsyncBoxBody<Bytes, std::io::Error>;
/// What is answered; none closes the connection.
pub type Answer = Option<http::Response<Body>>;

/// A server under way.
#[derive(Debug)]
pub struct Listening {
    /// Where it listens.
    pub address: SocketAddr,
    runtime: Option<Runtime>,
}

impl Listening {
    /// Answers requests with what `answer` makes of them.
    pub fn start<F, A>(answer: F) -> Self
    where
        F: Fn(http::Request<Incoming>) -> A + Clone + Send + 'static,
        A: Future<Output = Answer> + Send + 'static,
    {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0))).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move {
            loop {
                let Ok((socket, _)) = listener.accept().await else { continue };
                let answer = answer.clone();
                tokio::spawn(async move {
                    let service = service_fn(move |request| {
                        let answered = answer(request);
                        async move { answered.await.ok_or_else(|| std::io::Error::other("closed on demand")) }
                    });
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(socket), service)
                        .await;
                });
            }
        });
        Self { address, runtime: Some(runtime) }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A body of these bytes.
pub fn whole(bytes: impl Into<Bytes>) -> Body {
    http_body_util::Full::new(bytes.into()).map_err(|never: Infallible| match never {}).boxed_unsync()
}

/// A body that breaks off behind these bytes.
pub fn cut(bytes: Bytes) -> Body {
    let broken = Err(std::io::Error::other("cut on demand"));
    http_body_util::StreamBody::new(futures_util::stream::iter([Ok(Frame::data(bytes)), broken]))
        .boxed_unsync()
}
