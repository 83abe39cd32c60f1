//! The client's side: submits jobs, asks about them, comes back when the coordinator was away.
