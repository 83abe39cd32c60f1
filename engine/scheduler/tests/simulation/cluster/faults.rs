//! Faults: crashes, cut links, draining, the death of the coordinator; and the end of all faults.

use mr_scheduler::{Event, LossCause};

use super::{Cluster, Happening};

impl Cluster {
    /// One fault, and when the next one comes.
    pub(super) fn fault(&mut self) {
        if !self.faults() {
            return self.mend();
        }
        let index = usize::try_from(self.rng.within(0, self.machines.len() as u64 - 1)).unwrap();
        let machine = &mut self.machines[index];
        let (worker, incarnation) = (machine.id, machine.life());
        match self.rng.within(0, 9) {
            0..=3 if machine.up => {
                machine.up = false;
                let restart = self.now + self.rng.within(10, 15_000);
                self.at(restart, Happening::Restart { machine: index });
                if self.rng.percent(50) {
                    // The driver saw the process end.
                    self.say(index, Event::WorkerLost { worker, incarnation, cause: LossCause::Left });
                }
            }
            4..=6 => {
                machine.cut = true;
                let heal = self.now + self.rng.within(100, 8_000);
                self.at(heal, Happening::Heal { machine: index });
            }
            7 if machine.up => machine.draining = true,
            8 => self.restart_coordinator(),
            _ => {}
        }
        let next = self.now + self.rng.within(100, 8_000);
        self.at(next.min(self.faults_end), Happening::Fault);
    }

    /// The last fault is over: every machine runs, is reachable and takes work.
    pub(super) fn mend(&mut self) {
        for index in 0..self.machines.len() {
            let machine = &mut self.machines[index];
            machine.cut = false;
            if !machine.up || machine.draining {
                self.at(self.now, Happening::Restart { machine: index });
            }
        }
    }

    /// The coordinator dies with all that is under way and comes back from its journal.
    pub(super) fn restart_coordinator(&mut self) {
        self.tally.see("coordinator restart");
        self.scheduler = self.replay(Event::is_durable);
        self.epoch += 1;
        self.tell(Event::Resumed, self.now);
    }
}
