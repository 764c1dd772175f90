//! Statistics of pairs: medians, ratios, and a bootstrap interval.

/// Resamples of a bootstrap.
const RESAMPLES: usize = 5000;

/// A median ratio with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Ratio {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// Pairs it rests on.
    pub(crate) pairs: usize,
}

/// The median; `None` of nothing.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (below, above) = (sorted.get(sorted.len().saturating_sub(1) / 2)?, sorted.get(sorted.len() / 2)?);
    Some(f64::midpoint(*below, *above))
}

/// The ratio of the second of each pair to its first: median, and the percentile bootstrap of the median.
///
/// The interval is always the same for the same pairs. With few pairs it is wide, and cannot be wider than the ratios
/// themselves.
pub(crate) fn ratio(pairs: &[(f64, f64)]) -> Option<Ratio> {
    let ratios: Vec<f64> =
        pairs.iter().filter(|(base, _)| *base > 0.0).map(|(base, with)| with / base).collect();
    let centre = median(&ratios)?;
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut medians: Vec<f64> = (0..RESAMPLES)
        .filter_map(|_| {
            let sample: Vec<f64> = ratios.iter().map(|_| ratios[random.below(ratios.len())]).collect();
            median(&sample)
        })
        .collect();
    medians.sort_by(f64::total_cmp);
    let at = |share: f64| medians.get((share * (medians.len() - 1) as f64).round() as usize).copied();
    Some(Ratio { median: centre, low: at(0.025)?, high: at(0.975)?, pairs: ratios.len() })
}

/// xorshift64*, <https://doi.org/10.18637/jss.v008.i14> and Vigna's multiplier: enough to draw samples.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let drawn = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        drawn as usize % end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        let check = |values: &[f64], wanted: Option<f64>| assert_eq!(median(values), wanted);
        check(&[], None);
        check(&[3.0], Some(3.0));
        check(&[9.0, 1.0, 2.0], Some(2.0));
        check(&[4.0, 1.0, 2.0, 9.0], Some(3.0));
    }

    #[test]
    fn ratio_of_equal_pairs_has_no_width() {
        let ratio = ratio(&[(2.0, 3.0), (4.0, 6.0), (1.0, 1.5)]).expect("there are pairs");
        assert_eq!((ratio.median, ratio.low, ratio.high, ratio.pairs), (1.5, 1.5, 1.5, 3));
    }

    #[test]
    fn interval_holds_the_median_and_keeps_within_the_ratios() {
        let pairs = [(1.0, 0.9), (1.0, 1.0), (1.0, 1.1), (1.0, 1.2), (1.0, 1.05), (1.0, 0.97)];
        let ratio = ratio(&pairs).expect("there are pairs");
        assert!(0.9 <= ratio.low && ratio.low < ratio.median);
        assert!(ratio.median < ratio.high && ratio.high <= 1.2);
    }

    #[test]
    fn nothing_to_compare() {
        assert_eq!(ratio(&[]), None);
        assert_eq!(ratio(&[(0.0, 1.0)]), None);
    }

    #[test]
    fn draws_cover_the_range() {
        let mut random = Random(1);
        let mut seen = [0_u32; 6];
        (0..6000).for_each(|_| seen[random.below(6)] += 1);
        assert!(seen.iter().all(|count| (800..1200).contains(count)), "{seen:?}");
    }
}
