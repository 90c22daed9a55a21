//! The point of a manifold that is nearest to a row, found without an encoder.
#![expect(
    clippy::indexing_slicing,
    clippy::integer_division_remainder_used,
    reason = "rows, draws and searches are numbered below their counts, and there is an input or more"
)]
use super::{Generator, solve};
use crate::Result;
use crate::embedding::Embedding;
use candle_core::{D, Device, Tensor};
use mflow_bijectors::{Diff, Stream, host};

/// How the nearest points are searched.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct NearestConfig {
    /// Latents that are drawn from the standard normal distribution, the same for all rows.
    pub drawn: usize,
    /// From how many of them the search starts, the nearest first. A row whose distance has become 0 to rounding
    /// starts no more.
    pub starts: usize,
    /// The most steps of a search.
    pub steps: usize,
    /// A search ends when a step makes the squared distance smaller by less than this part of it.
    pub tolerance: f64,
    /// The seed of the draws.
    pub seed: u64,
}

impl Default for NearestConfig {
    fn default() -> Self {
        Self { drawn: 256, starts: 4, steps: 50, tolerance: 1e-6, seed: 0 }
    }
}

impl NearestConfig {
    /// From this many of so many draws.
    #[must_use]
    pub fn with_starts(self, starts: usize, drawn: usize) -> Self {
        Self { starts, drawn, ..self }
    }
    /// With at most so many steps.
    #[must_use]
    pub fn with_steps(self, steps: usize) -> Self {
        Self { steps, ..self }
    }
    /// With this tolerance.
    #[must_use]
    pub fn with_tolerance(self, tolerance: f64) -> Self {
        Self { tolerance, ..self }
    }
    /// With this seed.
    #[must_use]
    pub fn with_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }
}

/// The nearest points that were found of a batch of rows.
#[derive(Clone, Debug)]
#[must_use]
pub struct Nearest {
    /// Their coordinates, `[B, N]`.
    pub latents: Tensor,
    /// Their distances to the rows, `[B]`, in the units of the data.
    pub distances: Vec<f64>,
}

/// Numbers in memory at a time, about: few rows, whose images stay in the cache.
const BUDGET: usize = 1 << 24;
/// Dampings that are tried before a search ends.
const TRIES: usize = 8;

/// The best that is known of one row.
#[derive(Clone, Debug)]
struct Best {
    u: Vec<f64>,
    square: f64,
}

/// A search at work.
#[derive(Debug)]
struct Search {
    row: usize,
    u: Vec<f64>,
    square: f64,
    damping: f64,
    /// `J Jᵀ` and `J (x - g(u))` at `u`.
    gram: Vec<f64>,
    slope: Vec<f64>,
}

impl Generator {
    /// For each row of `x: [B, D]` the nearest point of the manifold: Levenberg-Marquardt steps
    ///
    /// ```text
    /// (J Jᵀ + λ diag J Jᵀ) s = J (x - g(u)),      J the rows dg/du_i, [N, D]
    /// ```
    ///
    /// from several starts, of which the nearest end counts. The result is an upper bound of the distance: a point
    /// may be nearer that no start leads to. A step costs about as much as `N` images.
    ///
    /// # Errors
    /// If `x` has another shape or dtype.
    pub fn nearest(&self, x: &Tensor, config: &NearestConfig) -> Result<Nearest> {
        self.check("Generator::nearest", "x", x, self.data_dim())?;
        let (rows, n) = (x.dim(0)?, self.free_inputs());
        let drawn = config.drawn.max(config.starts).max(1);
        let draws = Stream::new(config.seed, "generator starts").normal(drawn.saturating_mul(n));
        let order = self.order(x, &draws, drawn, config.starts.max(1))?;
        // What rounding leaves of the distance of a row that is on the manifold.
        let epsilon = if self.dtype == candle_core::DType::F64 { 1e-14 } else { 1e-7 };
        let sizes = match rows {
            0 => Vec::new(),
            _ => host::values_f64(&x.sqr()?.sum(D::Minus1)?)?,
        };
        let mut best = vec![Best { u: vec![0.; n], square: f64::INFINITY }; rows];
        for nearest in order {
            let open = |row: &usize| {
                let noise = 10. * epsilon;
                best[*row].square.is_nan() || best[*row].square > noise * noise * sizes[*row]
            };
            let open: Vec<usize> = (0..rows).filter(open).collect();
            for block in open.chunks(self.block(n)) {
                let from = |&row: &usize| {
                    let draw = nearest[row];
                    (row, draws[draw * n..(draw + 1) * n].to_vec())
                };
                for ended in self.search(x, block.iter().map(from).collect(), config)? {
                    let known = &mut best[ended.row];
                    if ended.square < known.square {
                        *known = Best { u: ended.u, square: ended.square };
                    }
                }
            }
        }
        let latents = best.iter().flat_map(|b| b.u.iter().copied()).collect();
        let latents = self.place(latents, rows, n)?;
        Ok(Nearest { latents, distances: best.iter().map(|b| b.square.sqrt()).collect() })
    }

    /// Rows that fit into memory with so many tangents each.
    fn block(&self, tangents: usize) -> usize {
        (BUDGET / self.work.saturating_mul(tangents + 1).max(1)).max(1)
    }

    /// The draw that is nearest to each row, then the second of each, and so on: `[starts][rows]`.
    fn order(
        &self,
        x: &Tensor,
        draws: &[f64],
        drawn: usize,
        starts: usize,
    ) -> Result<Vec<Vec<usize>>> {
        let (rows, n) = (x.dim(0)?, self.free_inputs());
        let mut squares = vec![Vec::with_capacity(drawn); rows];
        if rows == 0 {
            return Ok(Vec::new());
        }
        for block in draws.chunks(self.block(0) * n) {
            let points = self.forward(&self.place(block.to_vec(), block.len() / n, n)?)?;
            // |x - p|² without |x|², which orders nothing.
            let cross = (x.matmul(&points.t()?.contiguous()?)? * -2.)?;
            let found = cross.broadcast_add(&points.sqr()?.sum(D::Minus1)?)?;
            let found = host::values_f64(&found)?;
            for (of, found) in squares.iter_mut().zip(found.chunks(points.dim(0)?)) {
                of.extend_from_slice(found);
            }
        }
        let sorted = |squares: &Vec<f64>| {
            let mut order: Vec<usize> = (0..drawn).collect();
            order.sort_by(|a, b| squares[*a].total_cmp(&squares[*b]));
            order
        };
        let sorted: Vec<Vec<usize>> = squares.iter().map(sorted).collect();
        Ok((0..starts).map(|start| sorted.iter().map(|order| order[start]).collect()).collect())
    }

    /// One search for each of these rows, from the latents beside them.
    fn search(
        &self,
        x: &Tensor,
        from: Vec<(usize, Vec<f64>)>,
        config: &NearestConfig,
    ) -> Result<Vec<Search>> {
        let begin = |(row, u)| {
            let (gram, slope) = (Vec::new(), Vec::new());
            Search { row, u, square: f64::INFINITY, damping: 1e-3, gram, slope }
        };
        let mut open: Vec<Search> = from.into_iter().map(begin).collect();
        let mut ended = Vec::with_capacity(open.len());
        for _ in 0..config.steps {
            self.linearize(x, &mut open)?;
            let mut before: Vec<f64> = open.iter().map(|s| s.square).collect();
            let mut moved = vec![false; open.len()];
            for _ in 0..TRIES {
                let waiting = (0..open.len()).filter(|i| !moved[*i]).collect::<Vec<_>>();
                if waiting.is_empty() {
                    break;
                }
                self.attempt(x, &mut open, &waiting, &mut moved)?;
            }
            let mut next = Vec::with_capacity(open.len());
            for (search, (before, moved)) in open.drain(..).zip(before.drain(..).zip(moved)) {
                let gain = before - search.square;
                match moved && gain > config.tolerance * before && search.square > 0. {
                    true => next.push(search),
                    false => ended.push(search),
                }
            }
            open = next;
            if open.is_empty() {
                break;
            }
        }
        ended.extend(open);
        Ok(ended)
    }

    /// The normal equations where the searches are.
    fn linearize(&self, x: &Tensor, open: &mut [Search]) -> Result<()> {
        let n = self.free_inputs();
        let u =
            self.place(open.iter().flat_map(|s| s.u.iter().copied()).collect(), open.len(), n)?;
        let point = self.embed_with_jacobian(&u, None)?;
        let rest = (self.rows_of(x, open.iter().map(|s| s.row))? - point.value())?;
        let squares = host::values_f64(&rest.sqr()?.sum(D::Minus1)?)?;
        let Some(rows) = point.tangents() else { return Ok(()) };
        let gram = host::values_f64(&rows.matmul(&rows.transpose(1, 2)?.contiguous()?)?)?;
        let slope = host::values_f64(&rows.matmul(&rest.unsqueeze(2)?)?)?;
        for (i, search) in open.iter_mut().enumerate() {
            search.square = squares[i];
            search.gram = gram[i * n * n..(i + 1) * n * n].to_vec();
            search.slope = slope[i * n..(i + 1) * n].to_vec();
        }
        Ok(())
    }

    /// A step of each of `waiting`, taken where it comes nearer; else the next one will be shorter.
    fn attempt(
        &self,
        x: &Tensor,
        open: &mut [Search],
        waiting: &[usize],
        moved: &mut [bool],
    ) -> Result<()> {
        let n = self.free_inputs();
        let trial = |i: &usize| -> Vec<f64> {
            let s = &open[*i];
            match solve::damped(&s.gram, &s.slope, s.damping) {
                Some(step) => s.u.iter().zip(step).map(|(u, step)| u + step).collect(),
                None => s.u.clone(),
            }
        };
        let trials: Vec<f64> = waiting.iter().flat_map(trial).collect();
        let u = self.place(trials.clone(), waiting.len(), n)?;
        let rest = self.rows_of(x, waiting.iter().map(|&i| open[i].row))? - self.forward(&u)?;
        let squares = host::values_f64(&rest?.sqr()?.sum(D::Minus1)?)?;
        for ((&i, u), square) in waiting.iter().zip(trials.chunks(n)).zip(squares) {
            let search = &mut open[i];
            // False for NaN too.
            if square < search.square {
                (search.u, search.square, moved[i]) = (u.to_vec(), square, true);
                search.damping = (search.damping / 10.).max(1e-12);
            } else {
                search.damping *= 10.;
            }
        }
        Ok(())
    }

    fn rows_of(&self, x: &Tensor, rows: impl Iterator<Item = usize>) -> Result<Tensor> {
        let rows: Vec<i64> = rows.map(|row| row as i64).collect();
        let count = rows.len();
        Ok(x.index_select(
            &Tensor::from_vec(rows, count, &Device::Cpu)?.to_device(&self.device)?,
            0,
        )?)
    }

    fn place(&self, values: Vec<f64>, rows: usize, columns: usize) -> Result<Tensor> {
        let t = Tensor::from_vec(values, (rows, columns), &Device::Cpu)?;
        Ok(host::place(&t, self.dtype, &self.device)?)
    }
}
