//! A hook for crash tests: told before and after each step that makes, publishes or removes an output,
//! so that a test can end the process there. Always compiled in, because what is tested is to be what
//! runs; costs one relaxed load for a step, and steps are few for each job and task. Must do nothing
//! unless a test installs a hook.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

static INSTALLED: AtomicBool = AtomicBool::new(false);
static HOOK: RwLock<Option<fn(&'static str)>> = RwLock::new(None);

/// Calls `hook` with the name of each step, `before …` and `after …`, from now on.
pub fn install(hook: fn(&'static str)) {
    *HOOK.write().unwrap_or_else(PoisonError::into_inner) = Some(hook);
    INSTALLED.store(true, Ordering::Release);
}

/// Says that a step is reached.
#[inline]
pub fn reached(step: &'static str) {
    if INSTALLED.load(Ordering::Relaxed) {
        call(step);
    }
}

#[cold]
fn call(step: &'static str) {
    let hook = *HOOK.read().unwrap_or_else(PoisonError::into_inner);
    if let Some(hook) = hook {
        hook(step);
    }
}

/// Evaluates an expression as the step of this name.
macro_rules! step {
    ($name:literal, $action:expr) => {{
        $crate::step::reached(concat!("before ", $name));
        let done = $action;
        $crate::step::reached(concat!("after ", $name));
        done
    }};
}
pub(crate) use step;
