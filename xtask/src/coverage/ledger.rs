//! `docs/proofs.tsv` as a table: read, changed by the runner's lines, written sorted.
//!
//! Lines are of three kinds, divided by tabs: `proof SCENARIO KERNEL RUNG PLACES PROVED`, where a place is
//! `layout/runtime` and what is proved is `id=level`, both divided by commas; `sensor NAME KERNEL RUNG GOT`, the rung that
//! a sensor got where the daemon was told to use RUNG; and `check NAME KERNEL RUNG PLACES`, where a check of identity or
//! posture passed. RUNG is `none` for a check without a daemon.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::bail;

const HEAD: &str =
    "# What the scenarios proved, by kernel and rung: `cargo xtask coverage` writes it. Do not edit it.\n";

/// Scenario or sensor, kernel, rung.
type Key = (String, String, String);

/// A scenario on one kernel and rung.
#[derive(Debug, Default, PartialEq, Eq)]
struct Proof {
    /// `layout/runtime` where it passed.
    places: BTreeSet<String>,
    /// `id=level`, as last proved.
    proved: BTreeSet<String>,
}

/// The whole table.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Ledger {
    proofs: BTreeMap<Key, Proof>,
    sensors: BTreeMap<Key, String>,
    /// `layout/runtime` where a check passed.
    checks: BTreeMap<Key, BTreeSet<String>>,
}

fn list(text: &str, divider: char) -> BTreeSet<String> {
    text.split(divider).map(str::to_owned).collect()
}

impl Ledger {
    /// Reads the file.
    pub(super) fn read(text: &str) -> anyhow::Result<Self> {
        let mut ledger = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let words: Vec<&str> = line.split('\t').collect();
            match words[..] {
                ["proof", name, kernel, rung, places, proved] => {
                    let proof = Proof { places: list(places, ','), proved: list(proved, ',') };
                    ledger.proofs.insert((name.into(), kernel.into(), rung.into()), proof);
                }
                ["sensor", name, kernel, rung, got] => {
                    ledger.sensors.insert((name.into(), kernel.into(), rung.into()), got.into());
                }
                ["check", name, kernel, rung, places] => {
                    ledger.checks.insert((name.into(), kernel.into(), rung.into()), list(places, ','));
                }
                _ => bail!("neither a proof, a sensor nor a check: {line}"),
            }
        }
        Ok(ledger)
    }

    /// Takes a line of the runner, without its first word: `KERNEL RUNG LAYOUT` and `sensor NAME GOT`,
    /// `pass RUNTIME SCENARIO ID=LEVEL…`, `fail RUNTIME SCENARIO` or `check RUNTIME NAME passed|failed`.
    pub(super) fn take(&mut self, line: &str) -> anyhow::Result<()> {
        let words: Vec<&str> = line.split(' ').collect();
        let [kernel, rung, layout, verb, a, b, ref proved @ ..] = words[..] else { bail!("too short") };
        let key = |name: &str| (name.to_owned(), kernel.to_owned(), rung.to_owned());
        match verb {
            "sensor" => {
                self.sensors.insert(key(a), b.to_owned());
            }
            "pass" if !proved.is_empty() => {
                let proof = self.proofs.entry(key(b)).or_default();
                proof.places.insert(format!("{layout}/{a}"));
                proof.proved = proved.iter().map(|&word| word.to_owned()).collect();
            }
            "fail" => {
                if let Some(proof) = self.proofs.get_mut(&key(b)) {
                    proof.places.remove(&format!("{layout}/{a}"));
                }
                self.proofs.retain(|_, proof| !proof.places.is_empty());
            }
            "check" => {
                let places = self.checks.entry(key(b)).or_default();
                let place = format!("{layout}/{a}");
                match proved[..] {
                    ["passed"] => _ = places.insert(place),
                    ["failed"] => _ = places.remove(&place),
                    _ => bail!("neither passed nor failed"),
                }
                self.checks.retain(|_, places| !places.is_empty());
            }
            _ => bail!("unknown verb {verb}"),
        }
        Ok(())
    }

    /// Drops scenarios and checks that are no more, given the names of those that are; `life_of_*` stands for all that
    /// begin so.
    pub(super) fn prune(&mut self, scenarios: &BTreeSet<String>, checks: &BTreeSet<String>) {
        self.proofs.retain(|key, _| scenarios.contains(&key.0));
        self.checks.retain(|key, _| {
            checks.iter().any(|known| match known.strip_suffix('*') {
                Some(start) => key.0.starts_with(start),
                None => key.0 == *known,
            })
        });
    }

    /// Drops a kernel that is tested no more.
    pub(super) fn forget(&mut self, kernel: &str) {
        self.proofs.retain(|key, _| key.1 != kernel);
        self.sensors.retain(|key, _| key.1 != kernel);
        self.checks.retain(|key, _| key.1 != kernel);
    }

    /// The file.
    pub(super) fn text(&self) -> String {
        let join = |set: &BTreeSet<String>| set.iter().map(String::as_str).collect::<Vec<_>>().join(",");
        let mut text = HEAD.to_owned();
        for ((name, kernel, rung), proof) in &self.proofs {
            let (places, proved) = (join(&proof.places), join(&proof.proved));
            text.push_str(&format!("proof\t{name}\t{kernel}\t{rung}\t{places}\t{proved}\n"));
        }
        for ((name, kernel, rung), got) in &self.sensors {
            text.push_str(&format!("sensor\t{name}\t{kernel}\t{rung}\t{got}\n"));
        }
        for ((name, kernel, rung), places) in &self.checks {
            text.push_str(&format!("check\t{name}\t{kernel}\t{rung}\t{}\n", join(places)));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(ledger: &mut Ledger, lines: &[&str]) {
        lines.iter().for_each(|line| ledger.take(line).expect("well-formed"));
    }

    #[test]
    fn results_are_merged_and_taken_back() {
        let mut ledger = Ledger::default();
        let lines = [
            "6.1 trampoline v2 sensor mount trampoline",
            "6.1 trampoline v2 pass runc c01 C01=event",
            "6.1 trampoline hybrid pass crun c01 C01=finding T3=finding",
            "6.1 trampoline v2 check runc life_of_plain passed",
            "6.1 none v2 check runc posture passed",
        ];
        taken(&mut ledger, &lines);
        let text = "proof\tc01\t6.1\ttrampoline\thybrid/crun,v2/runc\tC01=finding,T3=finding\n\
                    sensor\tmount\t6.1\ttrampoline\ttrampoline\n\
                    check\tlife_of_plain\t6.1\ttrampoline\tv2/runc\ncheck\tposture\t6.1\tnone\tv2/runc\n";
        assert_eq!(ledger.text(), format!("{HEAD}{text}"));
        assert_eq!(Ledger::read(&ledger.text()).expect("its own text"), ledger);
        taken(&mut ledger, &["6.1 trampoline v2 pass runc c02 C02=event"]);
        taken(&mut ledger, &["6.1 trampoline v2 check runc no_more passed"]);
        let of = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        ledger.prune(&of(&["c01"]), &of(&["life_of_*", "posture"]));
        assert_eq!(ledger.text(), format!("{HEAD}{text}"));
        taken(&mut ledger, &["6.1 none v2 check runc posture failed"]);
        assert!(!ledger.text().contains("posture"), "{}", ledger.text());
        taken(&mut ledger, &["6.1 trampoline v2 fail runc c01"]);
        assert!(ledger.text().contains("\thybrid/crun\t"), "{}", ledger.text());
        taken(&mut ledger, &["6.1 trampoline hybrid fail crun c01"]);
        assert!(!ledger.text().contains("proof\t"), "{}", ledger.text());
        ledger.forget("6.1");
        assert_eq!(ledger, Ledger::default());
    }

    #[test]
    fn what_is_no_result_is_refused() {
        for words in ["", "pass runc c01", "told runc c01", "check runc posture", "check runc posture ok"] {
            let line = format!("6.1 trampoline v2 {words}");
            assert!(Ledger::default().take(&line).is_err(), "{line}");
        }
        assert!(Ledger::read("proof\ta\tb").is_err());
    }
}
