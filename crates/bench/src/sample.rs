//! Samples of one measure and what is said about them: least, median, 99th
//! percentile, most. Percentiles are values that were measured, never averages.

#[derive(Clone, Debug, Default)]
pub(crate) struct Samples(Vec<f64>);

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) runs: usize,
    pub(crate) min: f64,
    pub(crate) median: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

impl Samples {
    pub(crate) fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    pub(crate) fn extend(&mut self, others: &Samples) {
        self.0.extend_from_slice(&others.0);
    }

    /// The same samples in another unit.
    pub(crate) fn scaled(&self, factor: f64) -> Samples {
        self.0.iter().map(|value| value * factor).collect()
    }

    /// Nothing, if nothing was measured.
    pub(crate) fn spread(&self) -> Option<Spread> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let at = |share: f64| sorted.get(rank(sorted.len(), share)).copied();
        Some(Spread {
            runs: sorted.len(),
            min: *sorted.first()?,
            median: at(0.5)?,
            p99: at(0.99)?,
            max: *sorted.last()?,
        })
    }

    pub(crate) fn median(&self) -> Option<f64> {
        self.spread().map(|spread| spread.median)
    }
}

impl FromIterator<f64> for Samples {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Samples {
        Samples(values.into_iter().collect())
    }
}

/// The nearest rank: the least index below or at which `share` of all lie.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an index of a vector that fits in memory"
)]
fn rank(len: usize, share: f64) -> usize {
    ((len as f64 * share).ceil() as usize).saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let samples: Samples = (1..=100).rev().map(f64::from).collect();
        let spread = samples.spread().unwrap();
        let expected = Spread { runs: 100, min: 1.0, median: 50.0, p99: 99.0, max: 100.0 };
        assert_eq!(spread, expected);
    }

    #[test]
    fn few_samples_are_their_own_percentiles() {
        assert_eq!(Samples::default().spread(), None);
        let one: Samples = [7.0].into_iter().collect();
        assert_eq!(
            one.spread().map(|s| (s.min, s.median, s.p99, s.max)),
            Some((7.0, 7.0, 7.0, 7.0))
        );
        let three: Samples = [3.0, 1.0, 2.0].into_iter().collect();
        assert_eq!(three.median(), Some(2.0));
    }
}
