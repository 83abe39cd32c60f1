//! The worker: runs attempts and serves map output.
