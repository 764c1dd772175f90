//! The break-outs of the demo, as data: what is done in the container, and the rule that must see it.

use std::path::Path;

/// Where the container sees the folder with the fake control socket.
pub(crate) const CONTROL_FOLDER: &str = "/ctl";
/// The fake control socket's name, which says nothing: it is known by its inode.
pub(crate) const CONTROL_SOCKET: &str = "engine.sock";

/// One act of one process in the container.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// What is done, for a person.
    pub(crate) about: String,
    /// The rule whose finding is waited for.
    pub(crate) rule: &'static str,
    /// Words for the actor.
    pub(crate) act: Vec<String>,
}

/// Every step; `host` is a process of the demo's own outside the container.
pub(crate) fn all(host: u32) -> Vec<Step> {
    let file = if Path::new("/etc/hostname").exists() { "/etc/hostname" } else { "/etc/passwd" };
    let step = |about: String, rule, act: &[&str]| Step {
        about,
        rule,
        act: act.iter().map(|word| (*word).to_owned()).collect(),
    };
    let (pid, victim) = (host.to_string(), format!("/proc/{host}/root{file}"));
    let socket = format!("{CONTROL_FOLDER}/{CONTROL_SOCKET}");
    vec![
        step(
            format!("join a foreign namespace: setns to the UTS namespace of host process {host}"),
            "C01",
            &["setns-pidfd", &pid, "uts"],
        ),
        step(format!("open a file of the host: {victim}"), "I-4", &["open", &victim]),
        step("mount after start, by mount(2): a tmpfs".into(), "B02", &["mount-fs", "tmpfs", "/mnt/old"]),
        step(
            "mount after start, by fsopen, fsmount and move_mount: a tmpfs".into(),
            "B09",
            &["new-mount", "tmpfs", "/mnt/new"],
        ),
        step(
            "drop to user 1000, then rise to uid 0 again by a kept capability".into(),
            "A01",
            &["drop-but-keep-capability", "1000", "setuid", "0"],
        ),
        step(
            format!("connect to an engine's control socket (a fake one): {socket}"),
            "E01",
            &["connect-unix", &socket],
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_break_out_has_its_own_rule() {
        let mut rules: Vec<&str> = all(7).iter().map(|step| step.rule).collect();
        rules.sort_unstable();
        assert_eq!(rules, ["A01", "B02", "B09", "C01", "E01", "I-4"]);
    }
}
