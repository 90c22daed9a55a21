//! The conditioner network on slices, forward and backward, of values and their tangents.
use super::buffer::Buffer;
use super::conv;
use super::gemm::{Matrix, MatrixMut, gemm};
use super::lanes::Element;
use super::rows::{Rows, activate_back, add, bias_activate, column_sums, gate_back, residual};
use crate::nn::{Net, NetKind};
use candle_core::Result;

/// What the backward pass needs of one block.
#[derive(Debug)]
struct Block<T: Element> {
    /// Input of the block, before the activation.
    h: Buffer<T>,
    r1: Buffer<T>,
    /// Output of the first affine map, before the activation; empty in a perceptron, as `r2`.
    a: Buffer<T>,
    r2: Buffer<T>,
    u: Buffer<T>,
    /// Empty without a context.
    gate: Buffer<T>,
}

/// A network evaluated up to its last hidden layer.
#[derive(Debug)]
pub(crate) struct Activations<T: Element> {
    input: Buffer<T>,
    blocks: Vec<Block<T>>,
    /// The last hidden layer of a perceptron before its activation.
    last: Buffer<T>,
    /// The last hidden layer.
    pub(crate) hidden: Buffer<T>,
}

/// `(weight, bias)` of each affine map.
pub(crate) fn maps<'a, T>(net: &Net, mut theta: &'a [T]) -> Vec<(&'a [T], &'a [T])> {
    let cut = |s: crate::nn::LinearSize| {
        let (wb, rest) = theta.split_at(s.len());
        theta = rest;
        wb.split_at(s.fan() * s.outputs)
    };
    net.linears().into_iter().map(cut).collect()
}

fn product<T: Element>(
    x: &[T],
    rows: usize,
    inputs: usize,
    w: &[T],
    outputs: usize,
) -> Result<Buffer<T>> {
    let mut y = Buffer::stale(rows * outputs);
    let (x, w) = (Matrix::new(x, rows, inputs), Matrix::new(w, inputs, outputs));
    gemm(MatrixMut::new(&mut y, rows, outputs), false, x, w)?;
    Ok(y)
}

/// A map within a block: of images a convolution.
fn within<T: Element>(net: &Net, rows: Rows, x: &[T], w: &[T]) -> Result<Buffer<T>> {
    let width = net.config.hidden;
    match net.grid {
        Some(grid) => conv::convolve(grid, rows, x, w, width),
        None => product(x, rows.len(), width, w, width),
    }
}

/// Evaluate on `input`, `inputs + context` columns (zeros in the tangents of the context);
/// `context: [points, context]` feeds the gates. Without `save` only the last layer is kept. The points of images are
/// their pixels.
pub(crate) fn forward<T: Element>(
    net: &Net,
    theta: &[T],
    input: Buffer<T>,
    context: &[T],
    rows: Rows,
    save: bool,
) -> Result<Activations<T>> {
    let (width, act, c) = (net.config.hidden, net.config.activation, net.context);
    let is_residual = net.config.kind == NetKind::Residual;
    let mut maps = maps(net, theta).into_iter();
    let mut next = || maps.next().unwrap_or((&[], &[]));
    let (w, b) = next();
    let mut h = product(&input, rows.len(), net.inputs + c, w, width)?;
    let mut blocks = Vec::with_capacity(net.config.blocks);
    // The bias of a map is added in the pass that reads its result anyway.
    let mut h_bias = Some(b);
    let zero = Buffer::zeros(width);
    for _ in 0..net.config.blocks {
        let r1 = bias_activate(rows, &mut h, h_bias.take().unwrap_or(&zero), act);
        let (mut a, mut r2) = (Buffer::empty(), Buffer::empty());
        if is_residual {
            let (w, b) = next();
            a = within(net, rows, &r1, w)?;
            r2 = bias_activate(rows, &mut a, b, act);
        }
        let (w, b) = next();
        let mut u = within(net, rows, if is_residual { &r2 } else { &r1 }, w)?;
        let skip = is_residual.then_some(&*h);
        let mut gate = Buffer::empty();
        let next_h = if net.gated() {
            let (w, gate_bias) = next();
            gate = product(context, rows.points, c, w, width)?;
            residual(rows, skip, &mut u, b, Some((&mut gate, gate_bias)))
        } else {
            residual(rows, skip, &mut u, b, None)
        };
        let h = std::mem::replace(&mut h, next_h);
        if save {
            blocks.push(Block { h, r1, a, r2, u, gate });
        }
    }
    let b = h_bias.unwrap_or(&zero);
    if !is_residual {
        let hidden = bias_activate(rows, &mut h, b, act);
        return Ok(Activations { input, blocks, last: h, hidden });
    }
    if h_bias.is_some() {
        for row in h.chunks_exact_mut(width).take(rows.points) {
            row.iter_mut().zip(b).for_each(|(h, b)| *h += *b);
        }
    }
    Ok(Activations { input, blocks, last: Buffer::empty(), hidden: h })
}

/// Gradients of a network.
#[derive(Debug)]
pub(crate) struct Gradients<T: Element> {
    /// With respect to the input, `inputs + context` columns.
    pub(crate) input: Buffer<T>,
    /// With respect to the context through the gates, `[points, context]`.
    pub(crate) gates: Vec<T>,
}

/// Pull `g`, the cotangents of the last hidden layer, back; `g_theta` receives the gradient of all maps
/// but the last.
pub(crate) fn backward<T: Element>(
    net: &Net,
    theta: &[T],
    saved: &Activations<T>,
    context: &[T],
    rows: Rows,
    mut g: Buffer<T>,
    g_theta: &mut [T],
) -> Result<Gradients<T>> {
    let (width, act, c) = (net.config.hidden, net.config.activation, net.context);
    let is_residual = net.config.kind == NetKind::Residual;
    let sizes = net.linears();
    let mut gates = vec![T::default(); rows.points * c];
    // Walk the maps backwards, from the one before the last.
    let mut end = theta.len() - sizes[sizes.len() - 1].len();
    let mut at = sizes.len() - 1;
    let mut back = |x: &[T], gy: &[T], gx: &mut [T], accumulate: bool| -> Result<()> {
        at -= 1;
        let (size, start) = (sizes[at], end - sizes[at].len());
        let (inputs, outputs) = (size.inputs, size.outputs);
        let n = gy.len() / outputs;
        let (gw, gb) = g_theta[start..end].split_at_mut(size.fan() * outputs);
        // Tangents see no bias.
        column_sums(&gy[..rows.points * outputs], gb);
        let w = &theta[start..start + size.fan() * outputs];
        match net.grid.filter(|_| size.side > 1) {
            Some(grid) => {
                conv::pull_weight(grid, rows, x, gy, outputs, gw)?;
                gx.copy_from_slice(&conv::pull(grid, rows, gy, w, outputs)?);
            }
            None => {
                let (x, gy) = (Matrix::new(x, n, inputs), Matrix::new(gy, n, outputs));
                gemm(MatrixMut::new(gw, inputs, outputs), false, x.t(), gy)?;
                let w = Matrix::new(w, inputs, outputs);
                gemm(MatrixMut::new(gx, n, inputs), accumulate, gy, w.t())?;
            }
        }
        end = start;
        Ok(())
    };
    let mut g_a = Buffer::stale(rows.len() * width);
    let mut g_h = Buffer::stale(rows.len() * width);
    if !is_residual {
        activate_back(rows, &mut g, &saved.last, width, act);
    }
    for block in saved.blocks.iter().rev() {
        let gated = net.gated().then(|| gate_back(rows, &g, &block.u, &block.gate));
        if let Some([_, g_gate]) = &gated {
            back(context, g_gate, &mut gates, true)?;
        }
        let g_u: &[T] = gated.as_ref().map_or(&g, |[g_u, _]| g_u);
        if is_residual {
            back(&block.r2, g_u, &mut g_a, false)?;
            activate_back(rows, &mut g_a, &block.a, width, act);
            back(&block.r1, &g_a, &mut g_h, false)?;
        } else {
            back(&block.r1, g_u, &mut g_h, false)?;
        }
        activate_back(rows, &mut g_h, &block.h, width, act);
        if is_residual {
            add(&mut g, &g_h);
        } else {
            std::mem::swap(&mut g, &mut g_h);
        }
    }
    let mut input = Buffer::stale(rows.len() * (net.inputs + c));
    back(&saved.input, &g, &mut input, false)?;
    Ok(Gradients { input, gates })
}
