//! What the API server said of pods, and how it is joined with what is known of a container: by the uid of its pod,
//! which the node says. Whatever says otherwise on the node wins.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::Told;
use crate::container::{Mismatch, Node, Update, keep_labels};

/// What one API server said.
#[derive(Debug, Default)]
pub(in super::super) struct Pods {
    by_uid: HashMap<String, Known>,
    node: Option<Node>,
    /// Pods about which the node says otherwise, ever.
    pub(in super::super) mismatched: u64,
}

#[derive(Debug)]
struct Known {
    told: Told,
    /// The server has it no more; its containers may yet be here.
    is_gone: bool,
    is_contradicted: bool,
}

impl Pods {
    /// Takes in what was said of a pod; false if it is nothing new.
    pub(in super::super) fn tell(&mut self, told: Told) -> bool {
        let before = self.by_uid.get(&told.uid).filter(|known| !known.is_gone);
        if before.is_some_and(|known| known.told == told) {
            return false;
        }
        let known = Known { is_gone: false, is_contradicted: false, told };
        self.by_uid.insert(known.told.uid.clone(), known);
        true
    }

    /// The server has a pod no more.
    pub(in super::super) fn gone(&mut self, uid: &str) {
        if let Some(known) = self.by_uid.get_mut(uid) {
            known.is_gone = true;
        }
    }

    /// Takes in what was said of the node; false if it is nothing new.
    pub(in super::super) fn tell_node(&mut self, node: Node) -> bool {
        let is_new = self.node.as_ref() != Some(&node);
        self.node = Some(node);
        is_new
    }

    /// Forgets pods that are gone and whose uid is not among `used`.
    pub(in super::super) fn forget(&mut self, used: &BTreeSet<&str>) {
        self.by_uid.retain(|uid, known| !known.is_gone || used.contains(uid.as_str()));
    }

    /// Adds what `server` said of the container's pod.
    pub(in super::super) fn add_to(&mut self, update: &mut Update, server: &str) {
        let Some(pod) = &mut update.identity.pod else { return };
        let Some(Known { told, is_contradicted, .. }) = self.by_uid.get_mut(&pod.uid) else { return };
        let differs = |own: &str, other: &str| !own.is_empty() && own != other;
        if differs(&pod.name, &told.name) || differs(&pod.namespace, &told.namespace) {
            let (said, observed) =
                (format!("{}/{}", told.namespace, told.name), format!("{}/{}", pod.namespace, pod.name));
            update.mismatches.push(Mismatch { engine: server.to_owned(), what: "pod", said, observed });
            self.mismatched += u64::from(!std::mem::replace(is_contradicted, true));
            return;
        }
        pod.name.clone_from(&told.name);
        pod.namespace.clone_from(&told.namespace);
        pod.owner.clone_from(&told.owner);
        pod.node.clone_from(&self.node);
        keep_labels(&mut pod.labels, &told.labels);
    }
}

/// One for each API server that is asked, by its number.
pub(in super::super) type Servers = BTreeMap<usize, (String, Pods)>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::{ContainerKey, Identity, Owner, Pod, Status};

    fn told(name: &str, owner: &str) -> Told {
        Told {
            uid: "u".into(),
            namespace: "shop".into(),
            name: name.into(),
            labels: [("app".to_owned(), "api".to_owned()), ("tier".to_owned(), "web".to_owned())].into(),
            owner: Some(Owner { kind: "Deployment".into(), name: owner.into() }),
        }
    }

    fn container(uid: &str, name: &str) -> Update {
        let labels = [("app".to_owned(), "cri".to_owned())].into();
        let pod = Pod { uid: uid.into(), name: name.into(), labels, ..Pod::default() };
        Update {
            key: ContainerKey(7),
            status: Status::Resolved,
            identity: Identity { pod: Some(pod), ..Identity::default() },
            declared: None,
            mismatches: Vec::new(),
        }
    }

    #[test]
    fn the_node_knows_its_pods_better() {
        let mut pods = Pods::default();
        let node = Node { name: "n".into(), labels: BTreeMap::new() };
        assert!(pods.tell_node(node.clone()) && !pods.tell_node(node));
        assert!(pods.tell(told("web-1", "web")) && !pods.tell(told("web-1", "web")));
        // Whoever has only the uid gets the rest; what was said on the node stays.
        for name in ["", "web-1"] {
            let mut update = container("u", name);
            pods.add_to(&mut update, "s");
            let pod = update.identity.pod.expect("a pod");
            assert_eq!((pod.name.as_str(), pod.namespace.as_str()), ("web-1", "shop"));
            assert_eq!(pod.owner.map(|owner| owner.name).as_deref(), Some("web"));
            assert_eq!(pod.node.map(|node| node.name).as_deref(), Some("n"));
            assert_eq!((pod.labels["app"].as_str(), pod.labels["tier"].as_str()), ("cri", "web"));
            assert_eq!(update.mismatches, []);
        }
        // Another pod, and a container in none.
        for other in [container("v", "web-1"), Update { identity: Identity::default(), ..container("u", "") }]
        {
            let mut update = other.clone();
            pods.add_to(&mut update, "s");
            assert_eq!(update, other);
        }
        // It says of the pod what is not so: nothing of it is taken.
        for _ in 0..2 {
            let mut update = container("u", "db-1");
            pods.add_to(&mut update, "s");
            assert_eq!(update.identity, container("u", "db-1").identity);
            assert_eq!(update.mismatches.len(), 1);
        }
        assert_eq!(pods.mismatched, 1);
    }

    #[test]
    fn a_pod_is_known_as_long_as_it_has_containers() {
        let mut pods = Pods::default();
        pods.tell(told("web-1", "web"));
        pods.forget(&BTreeSet::new());
        pods.gone("u");
        pods.forget(&BTreeSet::from(["u"]));
        assert_eq!(pods.by_uid.len(), 1);
        pods.forget(&BTreeSet::new());
        assert_eq!(pods.by_uid.len(), 0);
    }
}
