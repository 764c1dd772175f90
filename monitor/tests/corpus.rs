//! Replays the fuzz corpus: what once broke a target, and one input of each kind.

use std::fs;
use std::path::Path;

#[path = "../../fuzz/src/targets.rs"]
mod targets;

#[test]
fn every_input_of_the_corpus_is_taken() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    for (name, target) in targets::TARGETS {
        let mut count = 0;
        for entry in fs::read_dir(corpus.join(name)).unwrap() {
            let path = entry.unwrap().path();
            // A panic names the input: the harness shows what was printed before it.
            println!("{}", path.display());
            target(&fs::read(&path).unwrap());
            count += 1;
        }
        assert!(count > 0, "{name} has no corpus");
    }
}

#[test]
fn the_corpus_leads_to_different_outcomes() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    for (name, least) in [("record", 14), ("argv", 3), ("cgroup_path", 3), ("layout", 2)] {
        let target = targets::TARGETS.iter().find(|(n, _)| *n == name).unwrap().1;
        let outcomes: std::collections::BTreeSet<u64> = fs::read_dir(corpus.join(name))
            .unwrap()
            .map(|e| target(&fs::read(e.unwrap().path()).unwrap()))
            .collect();
        assert!(outcomes.len() >= least, "{name}: {} outcomes", outcomes.len());
    }
}
