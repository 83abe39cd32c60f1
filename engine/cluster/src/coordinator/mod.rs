//! The coordinator: owns the jobs, their journal and their outputs.
