//! The part of `docs/coverage.md` about ways around the monitor.

use std::collections::{BTreeMap, BTreeSet};

use super::coverage::titles;
use super::proofs::{Proofs, Unseen};
use super::row;

/// A line of `docs/evasions.tsv`.
pub(crate) struct Evasion<'a> {
    /// What is done.
    text: &'a str,
    /// Why no scenario tries it, if none does.
    elsewhere: Option<&'a str>,
}

/// The evasions by code.
pub(crate) fn read(text: &str) -> BTreeMap<&str, Evasion<'_>> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let read = |line| {
        let mut words = str::split(line, '\t');
        Some((words.next()?, Evasion { text: words.next()?, elsewhere: words.next() }))
    };
    lines.filter_map(read).collect()
}

/// `T2` before `T10`.
fn number(code: &str) -> u32 {
    code.trim_start_matches('T').parse().unwrap_or(u32::MAX)
}

/// Evasions that no scenario tries, without a word about it.
pub(crate) fn complaints(evasions: &BTreeMap<&str, Evasion<'_>>, proofs: &Proofs) -> Vec<String> {
    let tried = |code: &str| proofs.scenarios.iter().any(|s| s.evasion.as_deref() == Some(code));
    let missing = evasions.iter().filter(|(code, evasion)| !tried(code) && evasion.elsewhere.is_none());
    missing.map(|(code, _)| format!("no scenario tries {code} of docs/evasions.tsv")).collect()
}

/// Each scenario that tries one, and what was seen of it.
pub(crate) fn section(page: &mut String, evasions: &BTreeMap<&str, Evasion<'_>>, proofs: &Proofs) {
    let columns = proofs.columns();
    page.push_str(
        "\n## Evasions\n\nWhat scenarios try to get around the monitor with. **unseen** is a gap that is known: its \
         scenario fails as soon as the act is seen. **–**: not run there.\n",
    );
    let mut codes: Vec<_> = evasions.iter().collect();
    codes.sort_by_key(|(code, _)| number(code));
    page.push_str(&titles(&["Code", "Evasion", "What is tried"], &columns, &["Layouts", "Why unseen"]));
    for (code, evasion) in codes {
        if let Some(elsewhere) = evasion.elsewhere {
            let here: Vec<_> = proofs
                .checks
                .iter()
                .filter(|check| elsewhere.contains(&format!("`{}`", check.name)))
                .collect();
            let places = here.iter().flat_map(|check| &check.places);
            let layouts: BTreeSet<&str> = places.filter_map(|place| Some(place.split_once('/')?.0)).collect();
            let layouts = layouts.into_iter().collect::<Vec<_>>().join(", ");
            let mut cells = vec![*code, evasion.text, elsewhere];
            cells.extend(columns.iter().map(|column| {
                if here.iter().any(|check| check.column == *column) { "finding" } else { "–" }
            }));
            cells.extend([layouts.as_str(), ""]);
            page.push_str(&row(&cells));
        }
        let tries = proofs.scenarios.iter().filter(|s| s.evasion.as_deref() == Some(code));
        for (at, scenario) in tries.enumerate() {
            let here: Vec<_> = proofs.proofs.iter().filter(|proof| proof.scenario == scenario.name).collect();
            let mut layouts: Vec<&str> = here
                .iter()
                .flat_map(|proof| &proof.places)
                .filter_map(|place| Some(place.split_once('/')?.0))
                .collect();
            layouts.sort_unstable();
            layouts.dedup();
            let (layouts, about) = (layouts.join(", "), format!("{} (`{}`)", scenario.about, scenario.name));
            let unseen = scenario.unseen.as_ref().map(Unseen::text).unwrap_or_default();
            let mut cells = if at == 0 { vec![*code, evasion.text, &about] } else { vec!["", "", &about] };
            cells.extend(columns.iter().map(|column| {
                let proof = here.iter().find(|proof| proof.column == *column);
                proof.and_then(|proof| proof.proved.get(*code)).map_or("–", String::as_str)
            }));
            cells.push(&layouts);
            cells.push(&unseen);
            page.push_str(&row(&cells));
        }
    }
}

#[test]
fn an_evasion_that_nobody_tries_is_found() {
    let evasions = read("# no code\nT1\ta race\tin another test\nT10\tO_PATH\n");
    assert_eq!(evasions.keys().map(|code| number(code)).collect::<Vec<_>>(), [1, 10]);
    assert_eq!(complaints(&evasions, &Proofs::default()), ["no scenario tries T10 of docs/evasions.tsv"]);
}
