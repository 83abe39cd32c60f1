//! Work that must not run on the threads that drive the network: plugins, and compiling them.

use std::panic::{AssertUnwindSafe, catch_unwind};

use mr_model::Failure;
use tokio::sync::oneshot;

/// Runs `work` on a new thread with this name, to its end even if nobody waits for it any more. A panic
/// is its failure, and nobody else's.
pub(super) async fn on_thread<T: Send + 'static>(
    name: String,
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let (done, waiting) = oneshot::channel();
    let body = move || {
        let ended = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a message");
            Err(Failure::internal(format!("the attempt's thread panicked: {text}")))
        });
        // Who does not wait any more does not want to know.
        let _ = done.send(ended);
    };
    let thread = std::thread::Builder::new().name(name).spawn(body);
    if let Err(error) = thread {
        return Err(Failure::internal(format!("the system gives no thread: {error}")));
    }
    waiting.await.unwrap_or_else(|_| Err(Failure::internal("a thread ended without a word")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_a_failure() {
        let name = on_thread("named".into(), || Ok(std::thread::current().name().map(str::to_owned))).await;
        assert_eq!(name, Ok(Some("named".to_owned())));
        let failure = on_thread::<()>("panics".into(), || panic!("on purpose {}", 1)).await.unwrap_err();
        assert!(failure.to_string().contains("on purpose 1"), "{failure}");
    }
}
