//! The conditioner network on slices: forward, backward, and tangents without a graph.
use super::gemm::{Matrix, MatrixMut, gemm};
use super::lanes::Element;
use super::rows::{
    add_column_sums, add_gated, bias_activate, gate_back, residual, scale_by_derivative,
};
use crate::nn::{Net, NetKind};
use candle_core::Result;

/// What the backward pass and the tangents need of one block.
#[derive(Debug)]
struct Block<T> {
    /// Input of the block, before the activation.
    h: Vec<T>,
    r1: Vec<T>,
    /// Output of the first affine map, before the activation; empty in a perceptron, as `r2`.
    a: Vec<T>,
    r2: Vec<T>,
    u: Vec<T>,
    /// Empty without a context.
    gate: Vec<T>,
}

/// A network evaluated on `rows` inputs, up to its last hidden layer.
#[derive(Debug)]
pub(crate) struct Activations<T> {
    input: Vec<T>,
    blocks: Vec<Block<T>>,
    /// The last hidden layer of a perceptron before its activation.
    last: Vec<T>,
    /// The last hidden layer, `[rows, hidden]`.
    pub(crate) hidden: Vec<T>,
}

/// `(weight, bias)` of each affine map.
pub(crate) fn maps<'a, T>(net: &Net, mut theta: &'a [T]) -> Vec<(&'a [T], &'a [T])> {
    let cut = |s: crate::nn::LinearSize| {
        let (wb, rest) = theta.split_at(s.len());
        theta = rest;
        wb.split_at(s.inputs * s.outputs)
    };
    net.linears().into_iter().map(cut).collect()
}

fn product<T: Element>(
    x: &[T],
    rows: usize,
    inputs: usize,
    w: &[T],
    outputs: usize,
) -> Result<Vec<T>> {
    let mut y = vec![T::default(); rows * outputs];
    let (x, w) = (Matrix::new(x, rows, inputs), Matrix::new(w, inputs, outputs));
    gemm(MatrixMut::new(&mut y, rows, outputs), false, x, w)?;
    Ok(y)
}

/// Evaluate on `input: [rows, inputs + context]`; `context: [rows, context]` feeds the gates.
pub(crate) fn forward<T: Element>(
    net: &Net,
    theta: &[T],
    input: Vec<T>,
    context: &[T],
    rows: usize,
) -> Result<Activations<T>> {
    let (width, act, c) = (net.config.hidden, net.config.activation, net.context);
    let is_residual = net.config.kind == NetKind::Residual;
    let mut maps = maps(net, theta).into_iter();
    let mut next = || maps.next().unwrap_or((&[], &[]));
    let (w, b) = next();
    let mut h = product(&input, rows, net.inputs + c, w, width)?;
    let mut blocks = Vec::with_capacity(net.config.blocks);
    // The bias of a map is added in the pass that reads its result anyway.
    let mut h_bias = Some(b);
    let zero = vec![T::default(); width];
    for _ in 0..net.config.blocks {
        let r1 = bias_activate(&mut h, h_bias.take().unwrap_or(&zero), act);
        let (mut a, mut r2) = (vec![], vec![]);
        if is_residual {
            let (w, b) = next();
            a = product(&r1, rows, width, w, width)?;
            r2 = bias_activate(&mut a, b, act);
        }
        let (w, b) = next();
        let mut u = product(if is_residual { &r2 } else { &r1 }, rows, width, w, width)?;
        let skip = is_residual.then_some(h.as_slice());
        let mut gate = vec![];
        let next_h = if net.gated() {
            let (w, gate_bias) = next();
            gate = product(context, rows, c, w, width)?;
            residual(skip, &mut u, b, Some((&mut gate, gate_bias)))
        } else {
            residual(skip, &mut u, b, None)
        };
        blocks.push(Block { h: std::mem::replace(&mut h, next_h), r1, a, r2, u, gate });
    }
    let b = h_bias.unwrap_or(&zero);
    if !is_residual {
        let hidden = bias_activate(&mut h, b, act);
        return Ok(Activations { input, blocks, last: h, hidden });
    }
    if h_bias.is_some() {
        for row in h.chunks_exact_mut(width) {
            row.iter_mut().zip(b).for_each(|(h, b)| *h += *b);
        }
    }
    Ok(Activations { input, blocks, last: vec![], hidden: h })
}

/// Gradients of a network.
#[derive(Debug)]
pub(crate) struct Gradients<T> {
    /// With respect to the concatenated input, `[rows, inputs + context]`.
    pub(crate) input: Vec<T>,
    /// With respect to the context through the gates, `[rows, context]`.
    pub(crate) gates: Vec<T>,
}

/// Pull `g: [rows, hidden]` back; `g_theta` receives the gradient of all maps but the last.
pub(crate) fn backward<T: Element>(
    net: &Net,
    theta: &[T],
    saved: &Activations<T>,
    context: &[T],
    rows: usize,
    mut g: Vec<T>,
    g_theta: &mut [T],
) -> Result<Gradients<T>> {
    let (width, act, c) = (net.config.hidden, net.config.activation, net.context);
    let is_residual = net.config.kind == NetKind::Residual;
    let sizes = net.linears();
    let mut gates = vec![T::default(); rows * c];
    // Walk the maps backwards, from the one before the last.
    let mut end = theta.len() - sizes[sizes.len() - 1].len();
    let mut at = sizes.len() - 1;
    let mut back = |x: &[T], gy: &[T], gx: &mut [T], accumulate: bool| -> Result<()> {
        at -= 1;
        let (size, start) = (sizes[at], end - sizes[at].len());
        let (inputs, outputs) = (size.inputs, size.outputs);
        let (gw, gb) = g_theta[start..end].split_at_mut(inputs * outputs);
        let (x, gy_) = (Matrix::new(x, rows, inputs), Matrix::new(gy, rows, outputs));
        gemm(MatrixMut::new(gw, inputs, outputs), false, x.t(), gy_)?;
        add_column_sums(gy, gb);
        let w = Matrix::new(&theta[start..end], inputs, outputs);
        gemm(MatrixMut::new(gx, rows, inputs), accumulate, gy_, w.t())?;
        end = start;
        Ok(())
    };
    let (mut g_a, mut g_h) = (vec![T::default(); rows * width], vec![T::default(); rows * width]);
    if !is_residual {
        scale_by_derivative(&mut g, &saved.last, width, 1, act);
    }
    for block in saved.blocks.iter().rev() {
        let gated = net.gated().then(|| gate_back(&g, &block.u, &block.gate));
        if let Some((_, g_gate)) = &gated {
            back(context, g_gate, &mut gates, true)?;
        }
        let g_u = gated.as_ref().map_or(&g, |(g_u, _)| g_u);
        if is_residual {
            back(&block.r2, g_u, &mut g_a, false)?;
            scale_by_derivative(&mut g_a, &block.a, width, 1, act);
            back(&block.r1, &g_a, &mut g_h, false)?;
        } else {
            back(&block.r1, g_u, &mut g_h, false)?;
        }
        scale_by_derivative(&mut g_h, &block.h, width, 1, act);
        if is_residual {
            add_gated(&mut g, &g_h, None, width, 1);
        } else {
            std::mem::swap(&mut g, &mut g_h);
        }
    }
    let mut input = vec![T::default(); rows * (net.inputs + c)];
    back(&saved.input, &g, &mut input, false)?;
    Ok(Gradients { input, gates })
}

/// Push `k` tangent rows per input, `[rows * k, inputs]`, to the last hidden layer.
pub(crate) fn push<T: Element>(
    net: &Net,
    theta: &[T],
    saved: &Activations<T>,
    tangents: &[T],
    rows: usize,
    k: usize,
) -> Result<Vec<T>> {
    let (width, act) = (net.config.hidden, net.config.activation);
    let mut maps = maps(net, theta).into_iter();
    let mut next = || maps.next().unwrap_or((&[], &[])).0;
    let n = rows * k;
    // The context is constant: only the first rows of the first weight see the tangents.
    let mut h = product(tangents, n, net.inputs, &next()[..net.inputs * width], width)?;
    let is_residual = net.config.kind == NetKind::Residual;
    for block in &saved.blocks {
        let mut t = h.clone();
        scale_by_derivative(&mut t, &block.h, width, k, act);
        if is_residual {
            t = product(&t, n, width, next(), width)?;
            scale_by_derivative(&mut t, &block.a, width, k, act);
        } else {
            h.fill(T::default());
        }
        let t = product(&t, n, width, next(), width)?;
        let gate = net.gated().then(|| {
            next();
            block.gate.as_slice()
        });
        add_gated(&mut h, &t, gate, width, k);
    }
    if !is_residual {
        scale_by_derivative(&mut h, &saved.last, width, k, act);
    }
    Ok(h)
}
