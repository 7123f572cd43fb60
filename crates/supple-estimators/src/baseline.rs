//! What is subtracted from a cost before it weighs a score.

use supple_core::choices;

choices! {
    /// A baseline: it leaves the gradient right in expectation and takes variance away.
    pub enum Baseline {
        /// The mean cost of the other samples.
        LeaveOneOut = "leave_one_out",
        /// The cost at the unperturbed point, which takes one evaluation: differences forward.
        Value = "value",
        /// None: one-point estimates.
        None = "none",
    }
}

impl Baseline {
    /// `costs` less the baseline, for samples in groups of `group` that depend on each other: a sample's
    /// baseline may not depend on its group. `value` is the cost at the unperturbed point.
    ///
    /// Where there is a single group, there are no others, and nothing is subtracted. Where all samples fill the
    /// space together (no `group`), the mean of all is subtracted, which hardly depends on any of them; that of
    /// the others would, and most of it would be the sample itself.
    pub(crate) fn advantages(self, costs: &[f64], group: Option<usize>, value: Option<f64>) -> Vec<f64> {
        let Some(group) = group else {
            let mean = match (self, value) {
                (Self::Value, Some(value)) => value,
                (Self::LeaveOneOut, _) if costs.len() > 1 => costs.iter().sum::<f64>() / costs.len() as f64,
                _ => 0.0,
            };
            return costs.iter().map(|c| c - mean).collect();
        };
        let others = costs.len().saturating_sub(group);
        match (self, value) {
            (Self::Value, Some(value)) => costs.iter().map(|c| c - value).collect(),
            (Self::LeaveOneOut, _) if others > 0 => {
                // About the mean, so that costs of a large common size lose no digits.
                let mean = costs.iter().sum::<f64>() / costs.len() as f64;
                let advantage = |costs: &[f64]| {
                    let own: f64 = costs.iter().map(|c| c - mean).sum();
                    // The sum over all is zero, so that of the others is −own.
                    costs.iter().map(|c| c - mean + own / others as f64).collect::<Vec<_>>()
                };
                costs.chunks(group).flat_map(advantage).collect()
            }
            _ => costs.to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_others_are_those_of_other_groups() {
        let costs = [1.0, 4.0, 2.0, -3.0, 0.5, 7.0];
        for group in [1, 2, 3] {
            let advantages = Baseline::LeaveOneOut.advantages(&costs, Some(group), None);
            for (i, advantage) in advantages.iter().enumerate() {
                let others: Vec<f64> = (0..6).filter(|j| j / group != i / group).map(|j| costs[j]).collect();
                let mean = others.iter().sum::<f64>() / others.len() as f64;
                assert!((advantage - (costs[i] - mean)).abs() < 1e-14, "{group}, {i}");
            }
        }
        assert_eq!(Baseline::LeaveOneOut.advantages(&costs[..2], Some(2), None), costs[..2]);
        assert_eq!(Baseline::Value.advantages(&costs[..2], Some(1), Some(1.0)), [0.0, 3.0]);
        assert_eq!(Baseline::None.advantages(&costs, Some(1), None), costs);
        let centred = Baseline::LeaveOneOut.advantages(&costs, None, None);
        assert!(centred.iter().sum::<f64>().abs() < 1e-14 && (centred[1] - centred[0] - 3.0).abs() < 1e-14);
    }
}
