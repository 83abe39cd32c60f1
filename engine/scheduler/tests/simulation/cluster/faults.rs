//! Faults: crashes, cut links, frozen processes, full disks, draining, the death of the coordinator;
//! and the end of all faults.

use mr_scheduler::{Event, LossCause};

use super::{Cluster, Happening, Word};

impl Cluster {
    /// One fault, and when the next one comes.
    pub(super) fn fault(&mut self) {
        if !self.faults() {
            return self.mend();
        }
        let index = usize::try_from(self.rng.within(0, self.machines.len() as u64 - 1)).unwrap();
        let kind = self.rng.within(0, 12);
        self.trace(|| format!("fault {kind} of machine {index}"));
        let now = self.now;
        let machine = &mut self.machines[index];
        let (worker, incarnation) = (machine.id, machine.life());
        match kind {
            0..=3 if machine.up => {
                machine.up = false;
                let restart = now + self.rng.within(10, 15_000);
                self.at(restart, Happening::Restart { machine: index });
                if self.rng.percent(50) {
                    // Somebody saw the process end.
                    let cause = LossCause::Left;
                    self.say(index, Word::Plain(Event::WorkerLost { worker, incarnation, cause }));
                }
            }
            4..=6 => {
                let cut = self.rng.within(1, 7);
                (machine.mute, machine.deaf, machine.apart) = (cut & 1 > 0, cut & 2 > 0, cut & 4 > 0);
                let heal = now + self.rng.within(100, 8_000);
                self.at(heal, Happening::Heal { machine: index });
            }
            7 if machine.up => machine.draining = true,
            8 => {
                let thaw = now + self.rng.within(100, 6_000);
                machine.frozen_until = machine.frozen_until.max(thaw);
            }
            9 => {
                machine.disk_full = true;
                let heal = now + self.rng.within(1_000, 10_000);
                self.at(heal, Happening::Heal { machine: index });
            }
            10 | 11 => self.crash(),
            _ => {}
        }
        let next = self.now + self.rng.within(100, 8_000);
        self.at(next.min(self.faults_end), Happening::Fault);
    }

    pub(super) fn heal(&mut self, index: usize) {
        let machine = &mut self.machines[index];
        (machine.mute, machine.deaf, machine.apart) = (false, false, false);
        machine.disk_full = false;
    }

    /// The last fault is over: every machine runs, is reachable and takes work.
    fn mend(&mut self) {
        for index in 0..self.machines.len() {
            self.heal(index);
            let machine = &mut self.machines[index];
            if !machine.up || machine.draining {
                self.at(self.now, Happening::Restart { machine: index });
            }
        }
    }
}
