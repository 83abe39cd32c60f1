//! What the operator's policy says to a submission, before anything of it counts: the sizes of its
//! components before they are sent, their signatures once they are here, what the job asks for, and where it
//! reads and writes. The coordinator only reads components; it runs none.

use std::sync::Arc;

use mr_model::Side;
use mr_policy::{PathRefusal, Policy};
use tokio::sync::Semaphore;

use super::contents::Contents;
use crate::protocol::{ComponentHash, Refused, SubmitHead, SubmittedPlan};

/// Components that are in memory at once to be looked at: each may be as large as components get, and
/// anybody with a certificate can submit.
const LOOKED_AT_MAX: usize = 1;

/// The policy at the door. Without one everything passes.
pub struct Gate {
    policy: Option<Arc<Policy>>,
    places: Semaphore,
}

impl Gate {
    /// A gate with this policy.
    pub fn new(policy: Option<Arc<Policy>>) -> Self {
        Self { policy, places: Semaphore::new(LOOKED_AT_MAX) }
    }

    /// Whether components and side inputs of these sizes may be sent.
    pub fn check_head(&self, head: &SubmitHead) -> Result<(), Refused> {
        let Some(policy) = &self.policy else { return Ok(()) };
        head.components.iter().try_for_each(|(hash, bytes)| {
            policy.check_size(*bytes).map_err(|refusal| refused(*hash, refusal.to_string()))
        })?;
        policy.check_sides(Side::bytes_of(&head.sides)).map_err(|refusal| disallowed(&refusal))
    }

    /// Whether a component that is here may run. One that was accepted under another policy is looked at
    /// again.
    pub async fn check_component(&self, hash: ComponentHash, components: &Contents) -> Result<(), Refused> {
        let Some(policy) = self.policy.clone() else { return Ok(()) };
        let _place = self.places.acquire().await.map_err(|_| Refused::ShuttingDown)?;
        let path = components.path(&hash);
        let verdict = tokio::task::spawn_blocking(move || {
            let bytes = std::fs::read(path).map_err(|error| fault(&error.to_string()))?;
            let verdict = policy.check_component(&bytes, &blake3::Hash::from_bytes(hash));
            verdict.map_err(|refusal| refused(hash, refusal.to_string()))
        });
        verdict.await.map_err(|error| fault(&error.to_string()))?.map(drop)
    }

    /// Gives a job what it did not ask for, and checks what it did.
    pub async fn admit(&self, mut plan: SubmittedPlan) -> Result<SubmittedPlan, Refused> {
        let Some(policy) = self.policy.clone() else { return Ok(plan) };
        let verdict = tokio::task::spawn_blocking(move || {
            let description = &mut plan.description;
            let permissions = &mut description.spec.permissions;
            policy.grant(permissions, description.guest_memory_bytes);
            plan.record.spec.permissions.clone_from(permissions);
            policy.check(permissions).map_err(|refusal| disallowed(&refusal))?;
            check_places(&policy, &plan).map_err(|refusal| disallowed(&refusal))?;
            Ok(plan)
        });
        verdict.await.map_err(|error| Refused::Fault { reason: error.to_string() })?
    }
}

fn check_places(policy: &Policy, plan: &SubmittedPlan) -> Result<(), PathRefusal> {
    let mut last = None;
    for piece in plan.splits.iter().flat_map(|split| &split.pieces) {
        // The pieces of a file follow each other.
        if last.replace(&piece.path) != Some(&piece.path) {
            policy.check_input(&piece.path)?;
        }
    }
    policy.check_output(&plan.output.path)
}

fn disallowed(refusal: &dyn std::error::Error) -> Refused {
    Refused::Permissions { sentence: refusal.to_string() }
}

fn refused(hash: ComponentHash, reason: String) -> Refused {
    Refused::Component { hash, reason }
}

fn fault(reason: &str) -> Refused {
    Refused::Fault { reason: format!("a component cannot be checked: {reason}") }
}
