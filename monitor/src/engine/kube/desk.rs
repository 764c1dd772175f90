//! What the desk does with what an API server says of pods.

use std::collections::BTreeSet;

use super::super::desk::{Desk, Outlet};
use super::super::follow::Said;
use crate::container::ContainerKey;

impl<O: Outlet> Desk<O> {
    /// Takes in what an API server says, and hands on what is new about containers.
    pub(in super::super) fn hear_of_pods(&mut self, number: usize, said: Said) {
        let Some((_, pods)) = self.servers.get_mut(&number) else { return };
        // Which pod is concerned; all of them, if it is about the node.
        let uid = match said {
            Said::Pod(told) => {
                let uid = told.uid.clone();
                let is_new = pods.tell(*told);
                self.count(number, |tally| tally.answered += 1);
                is_new.then_some(Some(uid))
            }
            Said::Node(node) => pods.tell_node(node).then_some(None),
            Said::PodGone(uid) => {
                pods.gone(&uid);
                None
            }
            _ => None,
        };
        let Some(uid) = uid else { return };
        let is_concerned =
            |pod: Option<&str>| pod.is_some_and(|pod| uid.as_ref().is_none_or(|uid| uid == pod));
        let concerned: Vec<ContainerKey> =
            self.cases.iter().filter(|(_, case)| is_concerned(case.pod())).map(|(key, _)| *key).collect();
        concerned.into_iter().for_each(|key| self.conclude(key));
    }

    /// Forgets pods that are gone and have no containers.
    pub(in super::super) fn forget_pods(&mut self) {
        if !self.servers.is_empty() {
            let used: BTreeSet<&str> = self.cases.values().filter_map(|case| case.pod()).collect();
            self.servers.values_mut().for_each(|(_, pods)| pods.forget(&used));
        }
    }

    /// Counts what kernel and files contradicted.
    pub(in super::super) fn count_pods(&mut self) {
        for (number, (_, pods)) in &self.servers {
            if let Some(engine) = self.engines.get_mut(*number) {
                engine.tally.mismatched = pods.mismatched;
            }
        }
    }
}
