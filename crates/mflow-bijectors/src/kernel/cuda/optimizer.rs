//! Launches of `optimizer.cu`: an update of all parameters at once, and the norm of their gradient.
use super::{Arg, Grid, Module, OnCuda, launch, number, ptx, space};
use candle_core::cuda_backend::cudarc::driver::{DevicePtr, DevicePtrMut};
use candle_core::op::BackpropOp;
use candle_core::{
    CpuStorage, CudaDevice, CudaStorage, DType, Device, Error, InplaceOp1, Layout, Result, Storage,
    Tensor, Var, WithDType,
};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::marker::PhantomData;

const MODULE: Module = Module { name: "mflow_optimizer", ptx: ptx::OPTIMIZER };

/// Parameters of one launch, as in `optimizer.cu`: with the other arguments they are below the 4 KB that all devices take.
const ENTRIES: usize = 120;
/// An entry of a table: addresses of a parameter and of its gradient, where it begins in the buffers, how long it is.
const ENTRY: usize = 4;
/// Where a table has the addresses of the two buffers.
const BUFFERS: usize = ENTRY * ENTRIES;
/// A table of parameters, as the kernels take it.
pub(super) type Table = [u64; BUFFERS + 2];

/// One parameter with its gradient, `None` where that is zero.
type Parameter<'a> = (&'a Var, Option<&'a Tensor>);
/// Blocks that sum: of a power of two threads, with a number of each in shared memory. Those of updates are as large.
const SUMS: Grid = Grid { blocks: [1; 3], threads: 256, shared: 256 * size_of::<f64>() };
/// The most blocks for one parameter; they go on with what is left of it.
const MOST_BLOCKS: usize = 128;

/// The arithmetic of one update, with a factor on the gradient, which comes first in each rule.
#[derive(Clone, Copy, Debug)]
pub enum Update {
    /// `g = s g + λ θ`, the moments `m = β1 m + (1-β1) g` and `v = β2 v + (1-β2) g²`, and
    /// `θ = k θ - η m / (√(c v) + ε)`. Its buffers are `m` and `v`.
    Adam {
        /// The factor `s`.
        scale: f64,
        /// The rate `η`, with the correction of the first moment.
        rate: f64,
        /// What is kept of a parameter, `k`: less than 1 with decoupled decay.
        keep: f64,
        /// The decay `λ` that passes through the moments.
        decay: f64,
        /// The correction `c` of the second moment.
        correction: f64,
        /// `β1`.
        beta1: f64,
        /// `β2`.
        beta2: f64,
        /// `ε`.
        epsilon: f64,
    },
    /// `g = s g + λ θ`, `b = μ b + g` and `θ = θ - η b`, or `θ = θ - η (g + μ b)`. Its buffer is `b`; without one the
    /// update is `θ = θ - η g`.
    Sgd {
        /// The factor `s`.
        scale: f64,
        /// The rate `η`.
        rate: f64,
        /// The decay `λ`.
        decay: f64,
        /// The momentum `μ`.
        momentum: f64,
        /// Whether the momentum is Nesterov's.
        nesterov: bool,
    },
}

impl Update {
    /// Whether the rule has so many buffers.
    fn takes(&self, buffers: usize) -> bool {
        match self {
            Self::Adam { .. } => buffers == 2,
            Self::Sgd { .. } => buffers <= 1,
        }
    }

    fn launch<T: WithDType + OnCuda>(
        &self,
        device: &CudaDevice,
        grid: &Grid,
        table: &Table,
    ) -> Result<()> {
        let (name, numbers) = match *self {
            Self::Adam { scale, rate, keep, decay, correction, beta1, beta2, epsilon } => {
                ("adam", vec![scale, rate, keep, decay, correction, beta1, beta2, epsilon])
            }
            Self::Sgd { scale, rate, decay, momentum, .. } => {
                ("sgd", vec![scale, rate, decay, momentum])
            }
        };
        let mut args = vec![Arg::Table(table)];
        args.extend(numbers.into_iter().map(Arg::<T>::Double));
        if let Self::Sgd { nesterov, .. } = *self {
            args.push(Arg::Int(nesterov.into()));
        }
        launch(device, &MODULE, name, grid, args)
    }
}

/// `|g|` of all `gradients` together, one number in double precision on their device. Two launches for 120 of them, and
/// one for every 120 more.
///
/// # Errors
/// If there is none, or if they are not contiguous tensors of one dtype, `f32` or `f64`, on one CUDA device.
pub fn norm(gradients: &[&Tensor]) -> Result<Tensor> {
    let Some(first) = gradients.first() else {
        return refuse("no gradient to take the norm of");
    };
    gradients.iter().try_for_each(|g| check(g, first))?;
    match first.dtype() {
        DType::F32 => norm_of::<f32>(cuda_device(first)?, gradients),
        _ => norm_of::<f64>(cuda_device(first)?, gradients),
    }
}

fn norm_of<T: WithDType + OnCuda>(device: &CudaDevice, gradients: &[&Tensor]) -> Result<Tensor> {
    let blocks = |grid: &Grid| grid.blocks[0] * grid.blocks[1];
    let parts = || gradients.chunks(ENTRIES).map(|part| (part, grid(part)));
    let count = parts().map(|(_, grid)| blocks(&grid)).sum();
    let (mut sums, mut norm) = (space::<f64>(device, count)?, space::<f64>(device, 1)?);
    let mut done = 0;
    for (part, grid) in parts() {
        let part: Vec<_> = part.iter().copied().map(Some).collect();
        with_gradients::<T>(device, &part, |table| {
            let args = vec![Arg::Table(&table), Arg::Int(number(done)?), Arg::Space(&mut sums)];
            launch::<T>(device, &MODULE, "gradient_squares", &grid, args)
        })?;
        done += blocks(&grid);
    }
    let args = vec![Arg::Int(number(count)?), Arg::Space(&mut sums), Arg::Space(&mut norm)];
    launch::<T>(device, &MODULE, "gradient_norm", &SUMS, args)?;
    let storage = Storage::Cuda(CudaStorage::wrap_cuda_slice(norm, device.clone()));
    Ok(Tensor::from_storage(storage, 1, BackpropOp::none(), false))
}

/// Changes `parameters`, and the buffers of the rule, which hold as many numbers as all parameters together, in their
/// order. One launch for every 120 parameters.
///
/// # Errors
/// If not all of them are contiguous tensors of one dtype, `f32` or `f64`, on one CUDA device; if a gradient or a buffer
/// has another length, or there is another number of buffers; or if something shares the memory of a tensor that is to
/// change. Then nothing has changed.
pub fn update(update: &Update, parameters: &[Parameter<'_>], buffers: &[Var]) -> Result<()> {
    let Some((first, _)) = parameters.first() else {
        return Ok(());
    };
    let all: usize = parameters.iter().map(|(p, _)| p.elem_count()).sum();
    if !update.takes(buffers.len()) || buffers.iter().any(|b| b.elem_count() != all) {
        return refuse("buffers that are not those of the rule and of the parameters");
    }
    let mut memory = BTreeSet::new();
    for changed in parameters.iter().map(|(p, _)| *p).chain(buffers) {
        check(changed, first)?;
        if !memory.insert(identity(changed)) {
            return refuse("two names of the same memory");
        }
    }
    for (p, gradient) in parameters {
        let Some(gradient) = gradient else { continue };
        check(gradient, first)?;
        if gradient.elem_count() != p.elem_count() || memory.contains(&identity(gradient)) {
            return refuse("a gradient of another length, or in the memory of a parameter");
        }
    }
    match first.dtype() {
        DType::F32 => update_of::<f32>(cuda_device(first)?, update, parameters, buffers),
        _ => update_of::<f64>(cuda_device(first)?, update, parameters, buffers),
    }
}

fn update_of<T: WithDType + OnCuda>(
    device: &CudaDevice,
    update: &Update,
    parameters: &[Parameter<'_>],
    buffers: &[Var],
) -> Result<()> {
    let mut offset = 0;
    for part in parameters.chunks(ENTRIES) {
        let (targets, gradients): (Vec<_>, Vec<_>) =
            part.iter().map(|(p, g)| (p.as_tensor(), *g)).unzip();
        let grid = grid(&targets);
        with_gradients::<T>(device, &gradients, |mut table| {
            for (entry, p) in table.chunks_exact_mut(ENTRY).zip(&targets) {
                (entry[2], entry[3]) = (number(offset)?, number(p.elem_count())?);
                offset += p.elem_count();
            }
            let of_parameters = targets.iter().enumerate().map(|(k, p)| (ENTRY * k, *p));
            let of_buffers = buffers.iter().enumerate().map(|(k, b)| (BUFFERS + k, b.as_tensor()));
            let changed: Vec<_> = of_parameters.chain(of_buffers).collect();
            let launch = |table: &Table| update.launch::<T>(device, &grid, table);
            hold::<T>(&changed, &RefCell::new(table), &launch)
        })?;
    }
    Ok(())
}

/// As many blocks for each of `tensors`: the longest one needs them.
fn grid(tensors: &[&Tensor]) -> Grid {
    let longest = tensors.iter().map(|t| t.elem_count()).max().unwrap_or(0);
    let wide = longest.div_ceil(SUMS.threads).min(MOST_BLOCKS);
    Grid { blocks: [wide, tensors.len(), 1], ..SUMS }
}

/// Calls `launch` with a table of `gradients` and their lengths, while nothing can change these.
fn with_gradients<T: WithDType + OnCuda>(
    device: &CudaDevice,
    gradients: &[Option<&Tensor>],
    launch: impl FnOnce(Table) -> Result<()>,
) -> Result<()> {
    let stream = device.cuda_stream();
    let held: Vec<_> = gradients.iter().map(|g| g.map(Tensor::storage_and_layout)).collect();
    let (mut table, mut guards) = ([0; BUFFERS + 2], vec![]);
    for (entry, held) in table.chunks_exact_mut(ENTRY).zip(&held) {
        let Some((storage, layout)) = held else { continue };
        let Storage::Cuda(storage) = &**storage else { return refuse("a gradient elsewhere") };
        let (start, guard) = storage.as_cuda_slice::<T>()?.device_ptr(&stream);
        guards.push(guard);
        (entry[1], entry[3]) = (address::<T>(start, layout)?, number(layout.shape().elem_count())?);
    }
    launch(table)
}

/// Writes the addresses of `tensors` where they belong in `table`, and calls `launch` with it, while nothing else can use
/// them. candle gives a storage for writing to an operation in place only: so each is taken inside of the one before.
fn hold<T: WithDType + OnCuda>(
    tensors: &[(usize, &Tensor)],
    table: &RefCell<Table>,
    launch: &dyn Fn(&Table) -> Result<()>,
) -> Result<()> {
    match tensors.split_first() {
        Some((&(place, tensor), rest)) => {
            tensor.inplace_op1(&Hold::<T> { place, rest, table, launch, dtype: PhantomData })
        }
        None => launch(&table.borrow()),
    }
}

/// See [`hold`].
struct Hold<'a, T> {
    place: usize,
    rest: &'a [(usize, &'a Tensor)],
    table: &'a RefCell<Table>,
    launch: &'a dyn Fn(&Table) -> Result<()>,
    dtype: PhantomData<T>,
}

impl<T: WithDType + OnCuda> InplaceOp1 for Hold<'_, T> {
    fn name(&self) -> &'static str {
        "optimizer"
    }
    fn cpu_fwd(&self, _: &mut CpuStorage, _: &Layout) -> Result<()> {
        refuse("a parameter elsewhere")
    }
    fn cuda_fwd(&self, storage: &mut CudaStorage, layout: &Layout) -> Result<()> {
        let stream = storage.device.cuda_stream();
        // The guard notes the write for other streams when it is dropped, after the launch.
        let (start, _guard) = storage.as_cuda_slice_mut::<T>()?.device_ptr_mut(&stream);
        self.table.borrow_mut()[self.place] = address::<T>(start, layout)?;
        hold::<T>(self.rest, self.table, self.launch)
    }
}

/// Where a tensor begins whose storage begins at `start`.
fn address<T>(start: u64, layout: &Layout) -> Result<u64> {
    Ok(start + number::<u64>(layout.start_offset() * size_of::<T>())?)
}

/// Whether kernels can take `t` together with `like`.
fn check(t: &Tensor, like: &Tensor) -> Result<()> {
    let can = t.is_contiguous()
        && t.dtype() == like.dtype()
        && matches!(t.dtype(), DType::F32 | DType::F64)
        && t.device().same_device(like.device());
    if can { Ok(()) } else { refuse("a tensor that is strided, or of another dtype or device") }
}

fn cuda_device(t: &Tensor) -> Result<&CudaDevice> {
    match t.device() {
        Device::Cuda(device) => Ok(device),
        _ => refuse("a tensor of another device"),
    }
}

/// Equal for tensors that share a storage.
fn identity(t: &Tensor) -> usize {
    let (storage, _) = t.storage_and_layout();
    std::ptr::from_ref::<Storage>(&storage).addr()
}

fn refuse<V>(what: &str) -> Result<V> {
    Err(Error::Msg(format!("CUDA kernels of optimizers were given {what}")))
}
