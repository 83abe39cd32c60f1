//! Messages between coordinator and machines: lost, late, doubled, out of order.

use mr_model::Incarnation;
use mr_scheduler::Event;

use super::{Cluster, HEARTBEAT_MILLIS, Happening, Message, Word};
use crate::machine::LEASE_MILLIS;

impl Cluster {
    /// Delays of the copies of a message that arrive: none where it is lost.
    fn delays(&mut self) -> Vec<u64> {
        if self.faults() && self.rng.percent(3) {
            return Vec::new();
        }
        let copies = if self.rng.percent(4) { 2 } else { 1 };
        let rng = &mut self.rng;
        (0..copies).map(|_| if rng.percent(5) { rng.within(100, 4_000) } else { rng.within(1, 40) }).collect()
    }

    /// A machine sends a word; while it is cut off, the word is lost or comes far too late.
    pub(super) fn say(&mut self, machine: usize, word: Word) {
        let mute = self.machines[machine].mute;
        if mute && self.rng.percent(70) {
            return;
        }
        for delay in self.delays() {
            let delay = if mute { delay + self.rng.within(500, 6_000) } else { delay };
            self.at(self.now + delay, Happening::Word { word: word.clone(), sent: self.now });
        }
    }

    pub(super) fn send(&mut self, machine: usize, message: &Message) {
        let life = self.coordinator.life;
        for delay in self.delays() {
            let message = message.clone();
            self.at(self.now + delay, Happening::Delivery { machine, message, life });
        }
    }

    pub(super) fn deliver(&mut self, index: usize, message: Message, life: u64) {
        let machine = &self.machines[index];
        // What an earlier life of the coordinator has sent may still come or not.
        let stale = life != self.coordinator.life && self.rng.percent(50);
        if !machine.up || machine.deaf || stale {
            return;
        }
        match message {
            Message::Launch { lease, reducers, inputs } => self.start(index, lease, reducers, inputs),
            Message::Cancel(lease) => {
                if self.machines[index].is_life(lease.incarnation) {
                    self.store.delete(&lease);
                    let word = self.machines[index].cancel(&lease);
                    self.say(index, Word::Plain(word));
                }
            }
            Message::Done(lease) => {
                let machine = &mut self.machines[index];
                if machine.is_life(lease.incarnation) {
                    machine.cancel(&lease);
                }
            }
            Message::Renew { incarnation, sent } => {
                let machine = &mut self.machines[index];
                if machine.is_life(incarnation) {
                    machine.joined = true;
                    machine.lease_end = machine.lease_end.max(sent + LEASE_MILLIS);
                }
            }
            Message::Fence(incarnation) => {
                if self.machines[index].is_life(incarnation) {
                    self.at(self.now + 1, Happening::Restart { machine: index });
                }
            }
        }
    }

    pub(super) fn beat(&mut self, index: usize, incarnation: u64) {
        let now = self.now;
        let machine = &mut self.machines[index];
        if !machine.is_life(Incarnation(incarnation)) {
            return;
        }
        // Half of the machines notice by themselves that their lease is over, the others go on as
        // zombies until they are told.
        if machine.joined && now >= machine.lease_end && machine.id.0.is_multiple_of(2) {
            machine.begin_life();
        }
        let (worker, incarnation, slots) = (machine.id, machine.life(), machine.slots_offered());
        let event = if machine.joined {
            Event::Heartbeat { worker, incarnation, progress: machine.progress(now) }
        } else {
            let host = machine.host.clone();
            Event::WorkerJoined { worker, incarnation, slots, host }
        };
        if machine.draining {
            self.say(index, Word::Plain(Event::WorkerDraining { worker, incarnation }));
        }
        self.say(index, Word::Plain(event));
        self.say(index, Word::Size { machine: index, incarnation, slots });
        let incarnation = incarnation.0;
        self.at(now + HEARTBEAT_MILLIS, Happening::Beat { machine: index, incarnation });
    }
}
