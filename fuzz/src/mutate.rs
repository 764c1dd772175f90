//! Makes new inputs from old ones. The same seed gives the same inputs.

/// A small generator of numbers (xorshift64*, Vigna 2016): good enough to pick mutations.
pub(crate) struct Numbers(u64);

impl Numbers {
    /// From a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// The next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `end`, 0 if that is 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { (self.next() % end as u64) as usize }
    }
}

/// Longest input.
const MAX: usize = 1 << 16;

/// Numbers at which code changes its mind.
const EDGES: &[u64] = &[
    0,
    1,
    2,
    3,
    16,
    63,
    64,
    127,
    128,
    255,
    256,
    4095,
    4096,
    32_767,
    32_768,
    65_535,
    65_536,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    u64::MAX,
];

/// Changes `input` a few times. `pool` is what pieces are taken from.
pub(crate) fn mutate(numbers: &mut Numbers, input: &mut Vec<u8>, pool: &[Vec<u8>]) {
    for _ in 0..=numbers.below(6) {
        once(numbers, input, pool);
    }
    input.truncate(MAX);
}

fn once(numbers: &mut Numbers, input: &mut Vec<u8>, pool: &[Vec<u8>]) {
    let at = numbers.below(input.len());
    match numbers.below(9) {
        0 if !input.is_empty() => input[at] ^= 1 << numbers.below(8),
        1 if !input.is_empty() => input[at] = numbers.next() as u8,
        2 => {
            let width = 1 << numbers.below(4);
            let edge = EDGES[numbers.below(EDGES.len())];
            // Lengths of the input itself are the most telling ones.
            let value =
                if numbers.below(3) == 0 { (input.len() as u64).wrapping_add(edge & 3) } else { edge };
            if let Some(place) = input.get_mut(at..at + width) {
                place.copy_from_slice(&value.to_le_bytes()[..width]);
            }
        }
        3 => input.truncate(at),
        4 => {
            let end = (at + 1 + numbers.below(16)).min(input.len());
            input.drain(at..end);
        }
        5 => {
            let piece: Vec<u8> = (0..=numbers.below(8)).map(|_| numbers.next() as u8).collect();
            input.splice(at..at, piece);
        }
        6 => {
            let end = (at + 1 + numbers.below(64)).min(input.len());
            let piece = input[at..end].to_vec();
            let to = numbers.below(input.len() + 1);
            input.splice(to..to, piece);
        }
        7 if !pool.is_empty() => {
            let other = &pool[numbers.below(pool.len())];
            let from = numbers.below(other.len());
            let end = (from + 1 + numbers.below(64)).min(other.len());
            let until = (at + (end - from)).min(input.len());
            input.splice(at..until, other[from..end].iter().copied());
        }
        _ => input.push(numbers.next() as u8),
    }
}
