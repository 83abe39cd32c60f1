//! Stages on a cluster: one connection for all of them. Each is a job under a name that is written down
//! before it is handed in, so that a run that comes back asks for the same job again.

use std::sync::OnceLock;

use anyhow::Result;
use mr_cluster::client::{Client, ClientOptions};
use mr_pipeline::Call;
use mr_runtime::{JobReport, Plan};
use tokio::runtime::Runtime;

use crate::args::{JobArgs, RemoteArgs};
use crate::config::Target;
use crate::interrupt::Interrupt;
use crate::remote::end::{Left, report};
use crate::remote::show::RemoteShow;
use crate::remote::submit::{name_plugin, submission};
use crate::remote::wait::until_end;
use crate::show::Style;

/// A cluster.
pub struct Remote {
    options: ClientOptions,
    args: RemoteArgs,
    client: OnceLock<Client>,
    runtime: Runtime,
}

impl Remote {
    /// The cluster that is meant; nobody is dialled yet.
    pub fn new(target: Target, args: &RemoteArgs) -> Result<Self> {
        Ok(Self {
            options: crate::remote::options(&target, args.target.away_max)?,
            args: args.clone(),
            client: OnceLock::new(),
            runtime: crate::remote::runtime()?,
        })
    }

    /// Runs a stage to its end.
    pub fn run(
        &self,
        call: &Call,
        args: &JobArgs,
        plan: &Plan,
        interrupt: &Interrupt,
        style: Style,
    ) -> Result<JobReport> {
        let submission = submission(args, &self.args, plan, interrupt)?;
        let id = &plan.spec.id;
        interrupt.arm();
        let view = self.runtime.block_on(async {
            let client = self.client().await?;
            let show = RemoteShow::lines(style, self.args.target.away_max, &call.title());
            tokio::select! {
                biased;
                () = interrupt.token().cancelled() => {
                    return Err(Left { job: id.clone(), accepted: false }.into());
                }
                accepted = client.submit(&submission, |upload| show.upload(upload)) => accepted?,
            };
            let ended = until_end(client, id, &show, interrupt.token()).await;
            show.finish();
            ended
        });
        let view = view.map_err(|error| name_plugin(error, plan))?;
        Ok(report(view)?)
    }

    async fn client(&self) -> Result<&Client> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let fresh = Client::connect(self.options.clone()).await?;
        // Where two stages begin at once the second connection is dropped.
        Ok(self.client.get_or_init(|| fresh))
    }
}
