//! Masks that make a conditioner autoregressive.
use super::Net;

impl Net {
    /// Factors of the flat parameter vector, 0 or 1, with which the outputs of feature `i` depend on
    /// the inputs before `i` only; `inputs` is the number of features, `outputs` a multiple of it.
    ///
    /// Input `i` has degree `i + 1`, hidden unit `k` degree `k mod (D - 1) + 1`; a unit sees units of
    /// at most its own degree, an output of feature `i` hidden units of degree at most `i`. Biases
    /// and what comes from the context are free. As in Germain et al. (2015), *MADE*, arXiv
    /// 1502.03509, eq. 12 to 14, with the degrees of nflows.
    #[expect(
        clippy::integer_division_remainder_used,
        reason = "`count` is 1 or more, and outputs are whole groups for each feature"
    )]
    pub(crate) fn autoregressive_mask(&self) -> Vec<f64> {
        let d = self.inputs;
        let per = self.outputs / d.max(1);
        let (count, least) = (d.saturating_sub(1).max(1), d.saturating_sub(1).min(1));
        let hidden = |k: usize| k % count + least;
        let mut mask = vec![];
        for (name, size) in self.named_linears() {
            for i in 0..size.inputs {
                for o in 0..size.outputs {
                    let sees = match name.as_str() {
                        "initial" => i >= d || hidden(o) > i,
                        "final" => o / per >= hidden(i),
                        name if name.ends_with("context") => true,
                        _ => hidden(o) >= hidden(i),
                    };
                    mask.push(f64::from(sees));
                }
            }
            mask.extend(vec![1.; size.outputs]);
        }
        mask
    }
}
