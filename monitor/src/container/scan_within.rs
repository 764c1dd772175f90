//! The scan of what runs already, where a container may keep whoever reads it waiting.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{ContainerKey, Resolver, Scanned};
use crate::bounded::{LOOK, Worker};

/// How long grouping all processes may take, which reads only what a container cannot delay, as a rule.
const SURVEY: std::time::Duration = std::time::Duration::from_secs(20);

impl Resolver {
    /// What [`Resolver::scan`] gives, within bounded time. Of the containers in `waiting`, and of those that are late, which
    /// are added to it, arguments and root are left out.
    pub fn scan_within(&self, worker: &mut Worker, waiting: &mut BTreeSet<ContainerKey>) -> Vec<Scanned> {
        let (resolver, careful) = (Arc::new(self.clone()), self.careful());
        let asked = Arc::clone(&resolver);
        let survey = worker.run(SURVEY, move || asked.survey()).unwrap_or_else(|_| careful.survey());
        let survey = Arc::new(survey);
        let read = |(at, key): (usize, ContainerKey)| {
            if waiting.contains(&key) {
                return careful.read(&survey, at);
            }
            let (asked, listed) = (Arc::clone(&resolver), Arc::clone(&survey));
            worker.run(LOOK, move || asked.read(&listed, at)).unwrap_or_else(|_| {
                waiting.insert(key);
                careful.read(&survey, at)
            })
        };
        survey.keys().enumerate().filter_map(read).collect()
    }
}
