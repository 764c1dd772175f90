//! The accounts: what balances, what is named, what is reported as unexplained.

use monitor_common::event::Header;

use super::*;

const KIND: EventKind = EventKind::Exec;

fn look(seq: u64, account: KindAccount) -> Look {
    let mut cpu = CpuAccount { seq, ..CpuAccount::default() };
    cpu.kinds[KIND.index()] = account;
    Look { cpus: vec![cpu], ..Look::default() }
}

fn receive(received: &mut Received, numbers: impl IntoIterator<Item = u64>) {
    for seq in numbers {
        received.add(&Header { kind: KIND as u16, seq, time: seq * 10, ..Header::default() });
    }
}

fn check(account: &mut Account, look: &Look, received: &mut Received) -> Vec<Lost> {
    let mut out = Vec::new();
    account.check(look, received, &mut out);
    out
}

#[test]
fn a_balanced_account_says_nothing() {
    let (mut account, mut received) = (Account::default(), Received::default());
    receive(&mut received, [1, 2, 5]);
    let kind = KindAccount { attempted: 5, submitted: 3, filtered: 2, ..KindAccount::default() };
    let last = Look { last: true, ..look(5, kind) };
    assert_eq!(check(&mut account, &last, &mut received), []);
    assert!(account.is_balanced() && account.lost() == 0);
    assert_eq!(account.total(), Row { kernel: kind, received: 3 });
    assert_eq!(account.kinds().count() + account.cpus().count(), 2);
}

#[test]
fn losses_are_told_with_their_container_and_never_twice() {
    let (mut account, mut received) = (Account::default(), Received::default());
    receive(&mut received, [1, 9]);
    let kind =
        KindAccount { attempted: 9, submitted: 2, ring_full: 4, over_budget: 3, ..KindAccount::default() };
    let full = Named {
        container: 7,
        kind: KIND,
        cpu: Some(0),
        critical: false,
        over_budget: false,
        count: 4,
        first: 20,
        last: 80,
    };
    let cut = Named { cpu: None, over_budget: true, count: 3, ..full };
    let first = Look { named: vec![full, cut], ..look(9, kind) };
    assert_eq!(check(&mut account, &first, &mut received), [Lost::Named(full), Lost::Named(cut)]);
    let last = Look { last: true, ..look(9, kind) };
    assert_eq!(check(&mut account, &last, &mut received), []);
    assert!(account.is_balanced() && account.lost() == 7);
}

#[test]
fn a_loss_without_container_is_told_once_it_stays_so() {
    let (mut account, mut received) = (Account::default(), Received::default());
    receive(&mut received, [1, 4]);
    let kind = KindAccount { attempted: 4, submitted: 2, ring_full: 2, ..KindAccount::default() };
    assert_eq!(check(&mut account, &look(4, kind), &mut received), []);
    let told = check(&mut account, &look(4, kind), &mut received);
    let between = None;
    assert_eq!(
        told,
        [Lost::Unnamed(Unnamed { kind: KIND, cpu: Some(0), over_budget: false, count: 2, between })]
    );
    assert_eq!(check(&mut account, &look(4, kind), &mut received), []);
}

#[test]
fn a_record_that_vanishes_is_reported_after_some_looks_or_at_the_last() {
    let (mut account, mut received) = (Account::default(), Received::default());
    receive(&mut received, [1, 3]);
    let kind = KindAccount { attempted: 3, submitted: 3, ..KindAccount::default() };
    for _ in 1..STRIKES {
        assert_eq!(check(&mut account, &look(3, kind), &mut received), []);
        assert!(!account.has_arrived(&look(3, kind), &mut received));
    }
    let told = check(&mut account, &look(3, kind), &mut received);
    assert!(told.contains(&Lost::Unaccounted { kind: Some(KIND), cpu: 0, count: 1 }), "{told:?}");
    assert!(!account.is_balanced() && account.unaccounted() > 0);

    let (mut account, mut received) = (Account::default(), Received::default());
    receive(&mut received, [1, 2]);
    let kind = KindAccount { attempted: 3, submitted: 2, ..KindAccount::default() };
    let told = check(&mut account, &Look { last: true, ..look(3, kind) }, &mut received);
    assert_eq!(told, [Lost::Unaccounted { kind: Some(KIND), cpu: 0, count: 1 }]);
}

#[test]
fn what_is_on_its_way_is_no_violation() {
    let (mut account, mut received) = (Account::default(), Received::default());
    for round in 1..30u64 {
        // One attempt is always open at the look, and the reader is always two records ahead of it.
        receive(&mut received, (round * 3 - 2)..=(round * 3));
        let attempted = round * 3 - 2;
        let kind = KindAccount { attempted, submitted: attempted - 1, ..KindAccount::default() };
        assert_eq!(check(&mut account, &look(attempted, kind), &mut received), []);
    }
}

#[test]
fn maps_and_skipped_runs() {
    let (mut account, mut received) = (Account::default(), Received::default());
    let mut one = Look { limits: [9; Counter::COUNT as usize], ..Look::default() };
    one.full[Counter::CgroupsFull as usize] = 2;
    one.skipped = vec![("exit_mount".into(), 3)];
    let told = check(&mut account, &one, &mut received);
    assert_eq!(
        told,
        [
            Lost::MapFull { counter: Counter::CgroupsFull, limit: 9, count: 2 },
            Lost::Skipped { program: "exit_mount".into(), count: 3 },
        ]
    );
    one.skipped.clear();
    assert_eq!(check(&mut account, &one, &mut received), []);
    assert_eq!(account.skipped(), 3);
}
