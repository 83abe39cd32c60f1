//! Faults on demand: which request goes wrong, how, and how often.

use std::fmt;
use std::sync::Mutex;

/// How a request goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It is answered with this status, and nothing is done.
    Status(u16),
    /// It is done, and the connection is closed instead of an answer.
    Lost,
    /// Its answer breaks off behind so many bytes.
    Cut(usize),
    /// It is never answered.
    Silence,
}

type Matches = Box<dyn Fn(&str) -> bool + Send>;

/// Faults to come, and what was asked for so far.
#[derive(Default)]
pub struct Faults {
    rules: Mutex<Vec<(Matches, Fault, usize)>>,
    asked: Mutex<Vec<String>>,
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Faults")
    }
}

impl Faults {
    /// The next `times` requests that `matches`, as in `GET /bucket/key?query`, go wrong.
    pub fn add(&self, times: usize, fault: Fault, matches: impl Fn(&str) -> bool + Send + 'static) {
        self.rules.lock().unwrap().push((Box::new(matches), fault, times));
    }

    /// No more faults.
    pub fn forget(&self) {
        self.rules.lock().unwrap().clear();
    }

    /// Notes a request, and says what is to happen to it.
    pub fn of(&self, request: String) -> Option<Fault> {
        let mut rules = self.rules.lock().unwrap();
        let rule = rules.iter_mut().find(|(matches, _, times)| *times > 0 && matches(&request));
        let fault = rule.map(|(_, fault, times)| {
            *times -= 1;
            fault.clone()
        });
        self.asked.lock().unwrap().push(request);
        fault
    }

    /// The requests so far.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}
