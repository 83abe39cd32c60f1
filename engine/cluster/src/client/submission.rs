//! What a client hands in: the encoded plan, where the components are, and the digest by which the
//! coordinator knows the same job again.

use std::path::{Path, PathBuf};

use mr_model::JobSpec;
use mr_runtime::PlannedSide;

use super::error::ClientError;
use crate::protocol::{ComponentHash, PLAN_BYTES_MAX, SubmitHead, SubmittedPlan};

/// What the digest begins with, so that digests of other contents never equal one of these.
const DIGEST_DOMAIN: &str = "mr-engine submitted job 1";

/// A component of a job, as it was when the job was planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// Its file.
    pub path: PathBuf,
    /// BLAKE3 of its bytes, in hexadecimal.
    pub blake3: String,
    /// Its length, in bytes.
    pub bytes: u64,
}

/// A job that is ready to be handed in, any number of times.
#[derive(Debug, Clone)]
pub struct Submission {
    pub(super) head: SubmitHead,
    /// Files of the components in [`SubmitHead::components`].
    pub(super) files: Vec<PathBuf>,
    /// The side inputs in [`SubmitHead::sides`].
    sides: Vec<PlannedSide>,
    /// The encoded [`SubmittedPlan`].
    pub(super) plan: Vec<u8>,
}

impl Submission {
    /// Encodes a planned job. `inputs` are the patterns as asked for, made absolute, and `split_bytes` is
    /// the size of splits that was asked for: with components, options and output they make the job's
    /// digest, which does not depend on what the files held or when they were written.
    ///
    /// # Errors
    /// [`ClientError::Io`] when a component's hash is none, or the plan is too large to be sent.
    pub fn new(
        plan: &SubmittedPlan,
        inputs: &[String],
        split_bytes: u64,
        components: &[Component],
    ) -> Result<Self, ClientError> {
        let digest = digest(plan, inputs, split_bytes)?;
        let encoded = encode(plan)?;
        let plan_bytes = encoded.len() as u64;
        if plan_bytes > PLAN_BYTES_MAX {
            let reason = format!(
                "its plan has {plan_bytes} bytes, and {PLAN_BYTES_MAX} are allowed; give fewer files, or raise --split-size"
            );
            return Err(unfit(Path::new("the job"), reason));
        }
        let mut submission = Self {
            head: SubmitHead {
                job: plan.description.spec.id.clone(),
                digest,
                components: Vec::new(),
                sides: plan.description.spec.sides.clone(),
                plan_bytes,
            },
            files: Vec::new(),
            sides: Vec::new(),
            plan: encoded,
        };
        for component in components {
            let hash = parse_hash(component)?;
            if submission.head.components.iter().all(|(known, _)| *known != hash) {
                submission.head.components.push((hash, component.bytes));
                submission.files.push(component.path.clone());
            }
        }
        Ok(submission)
    }

    /// With the files of the plan's side inputs, in their order. A job that has any cannot be handed in
    /// without.
    #[must_use]
    pub fn with_sides(mut self, sides: Vec<PlannedSide>) -> Self {
        self.sides = sides;
        self
    }

    /// What is said first.
    pub fn head(&self) -> &SubmitHead {
        &self.head
    }

    /// Reads a component, which has to be what it was when the job was planned.
    pub(super) async fn component(&self, number: usize) -> Result<Vec<u8>, ClientError> {
        let (Some(path), Some((hash, _))) = (self.files.get(number), self.head.components.get(number)) else {
            return Err(unfit(Path::new("the job"), format!("it has no component {number}")));
        };
        let (path, hash) = (path.clone(), *hash);
        let read = tokio::task::spawn_blocking(move || {
            let bytes = std::fs::read(&path).map_err(|error| unfit(&path, error.to_string()))?;
            if *blake3::hash(&bytes).as_bytes() != hash {
                let reason = "it changed while the job was planned; submit the job again".to_owned();
                return Err(unfit(&path, reason));
            }
            Ok(bytes)
        });
        read.await.map_err(|error| unfit(Path::new("the job"), error.to_string()))?
    }

    /// Reads a piece of a side input, which has to be what it was when the job was planned.
    pub(super) async fn side(&self, number: usize, start: u64, bytes: usize) -> Result<Vec<u8>, ClientError> {
        let Some(side) = self.sides.get(number).cloned() else {
            return Err(unfit(Path::new("the job"), format!("it has no file for side input {number}")));
        };
        let read = tokio::task::spawn_blocking(move || {
            let mut piece = vec![0; bytes];
            side.read_exact_at(&mut piece, start)?;
            Ok(piece)
        });
        read.await.map_err(|error| unfit(Path::new("the job"), error.to_string()))?
    }
}

fn digest(plan: &SubmittedPlan, inputs: &[String], split_bytes: u64) -> Result<[u8; 32], ClientError> {
    let description = &plan.description;
    let mut spec: JobSpec = description.spec.clone();
    // Follows from the memory of the machine that plans, unless it was asked for.
    spec.permissions.guest_memory_bytes_max = description.guest_memory_bytes.unwrap_or(0);
    let said = (DIGEST_DOMAIN, &description.roles, &spec, inputs, split_bytes, &plan.output, &plan.share);
    Ok(*blake3::hash(&encode(&said)?).as_bytes())
}

fn encode<T: serde::Serialize>(value: &T) -> Result<Vec<u8>, ClientError> {
    postcard::to_stdvec(value)
        .map_err(|error| unfit(Path::new("the job"), format!("it cannot be encoded: {error}")))
}

fn parse_hash(component: &Component) -> Result<ComponentHash, ClientError> {
    let hash = blake3::Hash::from_hex(&component.blake3);
    hash.map(|hash| *hash.as_bytes())
        .map_err(|error| unfit(&component.path, format!("its hash is malformed: {error}")))
}

fn unfit(path: &Path, reason: String) -> ClientError {
    ClientError::Io { path: path.to_owned(), reason }
}
