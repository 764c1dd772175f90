//! How an answer is joined with what the files said. Kernel and files win: an answer that they contradict adds nothing,
//! and what it says is kept beside what is so.

use super::Answer;
use super::place::{Place, Seen};
use crate::container::{Identity, Mismatch, Update, capability_name};

/// A path that every container but a privileged one has masked (runtime-spec, moby `oci/defaults.go`).
const ALWAYS_MASKED: &str = "/proc/kcore";

/// What kernel and files contradict in the answer of the engine called `engine`, whose socket belongs to `owner`.
pub(super) fn contradictions(
    files: &Update,
    answer: &Answer,
    engine: &str,
    owner: u32,
    seen: &Seen,
) -> Vec<Mismatch> {
    let mut out = Vec::new();
    let mut add = |what, said: String, observed: String| {
        out.push(Mismatch { engine: engine.to_owned(), what, said, observed });
    };
    if let Some(id) = files.identity.id.as_ref().filter(|id| **id != answer.id) {
        add("id", answer.id.clone(), id.clone());
    }
    if let Place::Outside(path) = &seen.place {
        add("pid", format!("{}, in the container", answer.pid), format!("in cgroup {path}"));
    }
    // Whoever has an account may listen at a socket of his own: he speaks for what is his.
    if let Some(uid) = seen.owner.filter(|uid| owner != 0 && *uid != owner) {
        add("owner", format!("uid {owner}"), format!("uid {uid}"));
    }
    let Some(declared) = &files.declared else { return out };
    let grants = &answer.grants;
    if grants.privileged == Some(true) && declared.masked_paths.iter().any(|path| path == ALWAYS_MASKED) {
        add("privileged", "yes".to_owned(), format!("{ALWAYS_MASKED} is masked"));
    }
    if let Some(most) = grants.capabilities {
        let more = declared.cap_bounding & !most;
        if more != 0 {
            let names: Vec<String> =
                (0..64).filter(|bit| more >> bit & 1 == 1).map(capability_name).collect();
            add("capabilities", "none beyond its defaults and --cap-add".to_owned(), names.join(", "));
        }
    }
    out
}

/// True if it cannot be said whether the engine may speak for the container: it is a user's, and no process of the
/// container's was there to show whose that is.
pub(super) fn is_undecided(owner: u32, seen: &Seen) -> bool {
    owner != 0 && seen.owner.is_none()
}

/// Who the container is, by the files and by answers that nothing contradicts.
pub(super) fn join<'a>(files: &Update, answers: impl Iterator<Item = &'a Answer>) -> Identity {
    let mut identity = files.identity.clone();
    answers.for_each(|answer| identity.fill_from(&answer.identity));
    identity
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::{ContainerKey, Declared, Status};
    use crate::engine::Grants;

    fn files(cap_bounding: u64, masked: &[&str]) -> Update {
        let masked_paths = masked.iter().map(|path| (*path).to_owned()).collect();
        Update {
            key: ContainerKey(7),
            status: Status::Resolved,
            identity: Identity { id: Some("a".into()), name: Some("web".into()), ..Identity::default() },
            declared: Some(Declared { cap_bounding, masked_paths, ..Declared::default() }),
            mismatches: Vec::new(),
        }
    }

    fn answer(grants: Grants) -> Answer {
        let identity =
            Identity { name: Some("other".into()), image: Some("i".into()), ..Identity::default() };
        Answer { id: "a".into(), pid: 9, identity, grants, ..Answer::default() }
    }

    #[track_caller]
    fn check(files: &Update, answer: &Answer, owner: u32, seen: &Seen, want: &[&str]) {
        let found = contradictions(files, answer, "docker at /d", owner, seen);
        assert_eq!(found.iter().map(|m| m.what).collect::<Vec<_>>(), want, "{found:?}");
    }

    #[test]
    fn what_kernel_and_files_contradict() {
        let inside = Seen { place: Place::Inside, owner: Some(0) };
        let plain = answer(Grants { privileged: Some(false), capabilities: Some(0b11) });
        let masked = files(0b11, &["/proc/kcore"]);
        check(&masked, &plain, 0, &inside, &[]);
        check(&masked, &plain, 0, &Seen::default(), &[]);
        let outside = Seen { place: Place::Outside("/docker/b".into()), owner: Some(0) };
        check(&masked, &plain, 0, &outside, &["pid"]);
        check(&masked, &Answer { id: "b".into(), ..plain.clone() }, 0, &inside, &["id"]);
        // A user's engine speaks for that user's containers only.
        check(&masked, &plain, 1000, &inside, &["owner"]);
        check(&masked, &plain, 1000, &Seen { owner: Some(1000), ..inside.clone() }, &[]);
        // Whose it is was not to be seen: that is no contradiction, and no reason to believe it.
        check(&masked, &plain, 1000, &Seen::default(), &[]);
        assert!(is_undecided(1000, &Seen::default()) && !is_undecided(0, &Seen::default()));
        assert!(!is_undecided(1000, &inside));
        // More than it says it granted; less is nothing to speak of.
        check(&files(0b111, &["/proc/kcore"]), &plain, 0, &inside, &["capabilities"]);
        check(&files(0b1, &["/proc/kcore"]), &plain, 0, &inside, &[]);
        let privileged = answer(Grants { privileged: Some(true), capabilities: Some(u64::MAX) });
        check(&masked, &privileged, 0, &inside, &["privileged"]);
        check(&files(u64::MAX, &[]), &privileged, 0, &inside, &[]);
        check(&Update { declared: None, ..masked }, &privileged, 0, &inside, &[]);
    }

    #[test]
    fn files_win() {
        let answer = answer(Grants::default());
        let joined = join(&files(0, &[]), [&answer].into_iter());
        assert_eq!((joined.name.as_deref(), joined.image.as_deref()), (Some("web"), Some("i")));
    }
}
