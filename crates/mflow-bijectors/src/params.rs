//! [`ParamStore`]: seeded, ordered, strict storage of parameters and buffers.
use crate::bijector::Bijector;
use crate::config::BijectorConfig;
use crate::shape::size;
use crate::{Error, Result, Stream, host, kernel};
use candle_core::{DType, Device, Tensor, Var};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The most numbers of a layer: 16 GiB in single precision.
const MOST: usize = u32::MAX as usize;

/// How a parameter is initialised; random values come from the stream named after the parameter.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Init {
    /// The same number everywhere.
    Constant(f64),
    /// Uniform in `[-bound, bound)`.
    Uniform {
        /// Half the width of the interval.
        bound: f64,
    },
    /// Given values, in memory order.
    Values(Vec<f64>),
}

impl Init {
    /// Uniform in `[-bound, bound)`.
    pub fn uniform(bound: f64) -> Self {
        Self::Uniform { bound }
    }
}

/// A named part of a layer's flat parameter vector.
#[derive(Clone, Debug)]
pub struct Piece {
    name: String,
    /// Shape in memory.
    shape: Vec<usize>,
    /// Which axis of memory each axis in files is.
    axes: Vec<usize>,
    init: Init,
}

impl Piece {
    /// A weight that lies `[inputs, outputs]` in memory and `[outputs, inputs]` in files.
    pub fn weight(name: impl Into<String>, inputs: usize, outputs: usize, init: Init) -> Self {
        Self { name: name.into(), shape: vec![inputs, outputs], axes: vec![1, 0], init }
    }
    /// The kernel of a convolution, that lies `[side, side, inputs, outputs]` in memory, as a product of matrices reads
    /// it, and `[outputs, inputs, side, side]` in files.
    pub fn kernel(
        name: impl Into<String>,
        [side, inputs, outputs]: [usize; 3],
        init: Init,
    ) -> Self {
        let shape = vec![side, side, inputs, outputs];
        Self { name: name.into(), shape, axes: vec![3, 2, 0, 1], init }
    }
    /// An array that lies in memory as in files.
    pub fn array(name: impl Into<String>, shape: &[usize], init: Init) -> Self {
        let axes = (0..shape.len()).collect();
        Self { name: name.into(), shape: shape.to_vec(), axes, init }
    }
    /// A vector.
    pub fn vector(name: impl Into<String>, len: usize, init: Init) -> Self {
        Self { name: name.into(), shape: vec![len], axes: vec![0], init }
    }
    fn len(&self) -> usize {
        size(&self.shape)
    }
    #[expect(
        clippy::indexing_slicing,
        reason = "axes are a permutation of those that a piece has, as its constructors make them"
    )]
    fn file_shape(&self) -> Vec<usize> {
        self.axes.iter().map(|&axis| self.shape[axis]).collect()
    }
    /// From memory, in its shape, to file.
    fn to_file(&self, t: &Tensor) -> Result<Tensor> {
        permuted(t, &self.axes)
    }
    /// The inverse of [`Piece::to_file`].
    #[expect(
        clippy::indexing_slicing,
        reason = "axes are a permutation of those that a piece has, as its constructors make them"
    )]
    fn to_memory(&self, t: &Tensor) -> Result<Tensor> {
        let mut back = vec![0; self.axes.len()];
        self.axes.iter().enumerate().for_each(|(file, &memory)| back[memory] = file);
        permuted(t, &back)
    }
}

/// With axes in another order. Always a copy: what is saved must not change when the parameter does.
#[expect(
    clippy::indexing_slicing,
    reason = "axes are a permutation of those that a piece has, as its constructors make them"
)]
fn permuted(t: &Tensor, axes: &[usize]) -> Result<Tensor> {
    if t.elem_count() == 0 {
        // GPUs refuse to copy nothing.
        let shape: Vec<usize> = axes.iter().map(|&axis| t.dims()[axis]).collect();
        return Ok(host::zeros(shape, t.dtype(), t.device())?);
    }
    Ok(t.permute(axes)?.force_contiguous()?)
}

/// One layer's trainable parameters: a flat vector with named pieces.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Dotted prefix of the names of its pieces.
    pub name: String,
    /// The flat vector.
    pub var: Var,
    pieces: Vec<Piece>,
}

impl Parameter {
    /// Cut a flat vector laid out like this parameter (the parameter itself, an optimizer moment)
    /// into named tensors as files store them.
    ///
    /// # Errors
    /// If the length differs.
    pub fn to_named(&self, flat: &Tensor) -> Result<Vec<(String, Tensor)>> {
        let lens: Vec<usize> = self.pieces.iter().map(Piece::len).collect();
        let parts = kernel::split(&flat.detach(), &lens)?;
        let named = self.pieces.iter().zip(parts).map(|(piece, part)| {
            let tensor = piece.to_file(&part.reshape(piece.shape.as_slice())?)?;
            Ok((join(&self.name, &piece.name), tensor))
        });
        named.collect()
    }

    /// The inverse of [`Parameter::to_named`]: `find` gives the tensor of a name.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape.
    pub fn from_named<'a>(&self, find: impl Fn(&str) -> Option<&'a Tensor>) -> Result<Tensor> {
        let mut flat = Vec::with_capacity(self.pieces.len());
        for piece in &self.pieces {
            let name = join(&self.name, &piece.name);
            let Some(t) = find(&name) else {
                return Err(Error::ParameterNames { missing: vec![name], unexpected: vec![] });
            };
            check_shape(&name, &piece.file_shape(), t)?;
            let t = host::place(t, self.var.dtype(), self.var.device())?;
            flat.push(piece.to_memory(&t)?.flatten_all()?);
        }
        joined(&flat)
    }

    /// Refuse other pieces than these.
    fn check_same(&self, pieces: &[Piece]) -> Result<()> {
        if !self.pieces.iter().map(|p| &p.name).eq(pieces.iter().map(|p| &p.name)) {
            return Err(Error::DuplicateParameter { name: self.name.clone() });
        }
        for (piece, stored) in pieces.iter().zip(&self.pieces) {
            let (expected, found) = (piece.file_shape(), stored.file_shape());
            if expected != found {
                let name = join(&self.name, &piece.name);
                return Err(Error::ParameterShape { name, expected, found });
            }
        }
        Ok(())
    }
}

/// Flat vectors behind each other.
fn joined(parts: &[Tensor]) -> Result<Tensor> {
    Ok(match parts {
        // Of nothing there is nothing to concatenate, which GPUs would refuse.
        [first, ..] if parts.iter().all(|t| t.elem_count() == 0) => first.clone(),
        _ => Tensor::cat(parts, 0)?,
    })
}

fn join(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") }
}

fn check_shape(name: &str, expected: &[usize], found: &Tensor) -> Result<()> {
    if found.dims() == expected {
        return Ok(());
    }
    let (expected, found) = (expected.to_vec(), found.dims().to_vec());
    Err(Error::ParameterShape { name: name.to_owned(), expected, found })
}

/// The parameters (trained) and buffers (saved, never trained) of a model, in name order.
///
/// Initial values depend on `(seed, name)` only. Unlike candle's `VarMap` it has an order, a seed,
/// and refuses repeated names. Layers are built in a session, [`ParamStore::build`]; a second session
/// over the same store gives layers that share the storage, for instance with one part frozen.
#[derive(Debug)]
pub struct ParamStore {
    parameters: BTreeMap<String, Parameter>,
    buffers: BTreeMap<String, Tensor>,
    /// Buffers that an explicit call may change, such as running averages.
    states: BTreeMap<String, Var>,
    /// Loaded tensors that no layer has asked for yet; `None` once the first session is over.
    pending: Option<BTreeMap<String, Tensor>>,
    /// Names requested in the present session.
    seen: BTreeSet<String>,
    /// Names requested but not loaded.
    missing: Vec<String>,
    seed: u64,
    dtype: DType,
    device: Device,
}

impl ParamStore {
    /// An empty store: the first session creates and initialises.
    pub fn new(seed: u64, dtype: DType, device: &Device) -> Self {
        Self {
            parameters: BTreeMap::new(),
            buffers: BTreeMap::new(),
            states: BTreeMap::new(),
            pending: None,
            seen: BTreeSet::new(),
            missing: vec![],
            seed,
            dtype,
            device: device.clone(),
        }
    }

    /// A store whose first session takes its values from `named` tensors, converted to `dtype`, and
    /// fails unless the names match exactly.
    pub fn from_named(named: BTreeMap<String, Tensor>, dtype: DType, device: &Device) -> Self {
        Self { pending: Some(named), ..Self::new(0, dtype, device) }
    }

    /// Build layers. Parameters for whose layer name `trained` is false come detached: they cost no
    /// backward, yet share the storage.
    ///
    /// # Errors
    /// As `f`, which comes first; if a name is requested twice; if loaded tensors are missing or left
    /// over.
    pub fn build<R>(
        &mut self,
        trained: impl Fn(&str) -> bool,
        f: impl FnOnce(&mut Params<'_>) -> Result<R>,
    ) -> Result<R> {
        self.seen.clear();
        let built = f(&mut Params { store: self, trained: &trained, prefix: String::new() });
        let (missing, pending) = (std::mem::take(&mut self.missing), self.pending.take());
        let built = built?;
        if let Some(rest) = pending {
            let unexpected: Vec<String> = rest.into_keys().collect();
            if !missing.is_empty() || !unexpected.is_empty() {
                return Err(Error::ParameterNames { missing, unexpected });
            }
        }
        Ok(built)
    }

    /// Build one bijector, all of it to be trained.
    ///
    /// # Errors
    /// As [`ParamStore::build`].
    pub fn create(&mut self, config: &BijectorConfig) -> Result<Arc<dyn Bijector>> {
        self.build(|_| true, |params| config.build(params))
    }

    /// All parameters in name order.
    pub fn parameters(&self) -> impl Iterator<Item = &Parameter> {
        self.parameters.values()
    }

    /// Everything as files store it: named tensors, weights `[out, in]`, buffers included.
    ///
    /// # Errors
    /// If a tensor operation fails.
    pub fn to_named(&self) -> Result<BTreeMap<String, Tensor>> {
        let mut named: BTreeMap<String, Tensor> = self.buffers.clone();
        for (name, state) in &self.states {
            // A copy: what is saved must not change when the state does.
            named.insert(name.clone(), state.as_detached_tensor().copy()?);
        }
        for parameter in self.parameters.values() {
            named.extend(parameter.to_named(parameter.var.as_tensor())?);
        }
        Ok(named)
    }

    /// Overwrite all parameters and states, in place, so that built layers see them. Other buffers
    /// never change and are left alone.
    ///
    /// # Errors
    /// If a name is missing or a tensor has another shape.
    pub fn assign(&self, named: &BTreeMap<String, Tensor>) -> Result<()> {
        for parameter in self.parameters.values() {
            parameter.var.set(&parameter.from_named(|name| named.get(name))?)?;
        }
        for (name, state) in &self.states {
            let Some(t) = named.get(name) else {
                let missing = vec![name.clone()];
                return Err(Error::ParameterNames { missing, unexpected: vec![] });
            };
            check_shape(name, state.dims(), t)?;
            state.set(&host::place(t, state.dtype(), state.device())?)?;
        }
        Ok(())
    }

    /// Dtype of all parameters.
    pub fn dtype(&self) -> DType {
        self.dtype
    }
    /// Device of all parameters.
    pub fn device(&self) -> &Device {
        &self.device
    }
}

/// What a layer is built from: a store, a name prefix, and which parameters are to be trained.
#[expect(missing_debug_implementations, reason = "short-lived; borrows a closure")]
pub struct Params<'a> {
    store: &'a mut ParamStore,
    trained: &'a dyn Fn(&str) -> bool,
    prefix: String,
}

impl Params<'_> {
    /// The same, with `name` appended to the prefix.
    pub fn scope(&mut self, name: &str) -> Params<'_> {
        let prefix = join(&self.prefix, name);
        Params { store: self.store, trained: self.trained, prefix }
    }

    /// Dtype of all parameters.
    pub fn dtype(&self) -> DType {
        self.store.dtype
    }
    /// Device of all parameters.
    pub fn device(&self) -> &Device {
        &self.store.device
    }

    fn claim(&mut self, name: &str) -> Result<()> {
        if self.store.seen.insert(name.to_owned()) {
            return Ok(());
        }
        Err(Error::DuplicateParameter { name: name.to_owned() })
    }

    /// The loaded tensor `name`; `None` (and on record, if there should be one) without.
    fn take(&mut self, name: &str) -> Option<Tensor> {
        let pending = self.store.pending.as_mut()?;
        let found = pending.remove(name);
        if found.is_none() {
            self.store.missing.push(name.to_owned());
        }
        found
    }

    /// The flat vector of this layer's trainable pieces.
    ///
    /// # Errors
    /// If the layer name was used before, or loaded tensors or those of an earlier session have other
    /// names or shapes.
    pub fn flat(&mut self, pieces: Vec<Piece>) -> Result<Tensor> {
        let name = self.prefix.clone();
        for piece in &pieces {
            self.claim(&join(&name, &piece.name))?;
        }
        let all = pieces.iter().fold(0, |all: usize, piece| all.saturating_add(piece.len()));
        if all > MOST {
            let reason = format!("has {all} numbers, more than the {MOST} that a layer may have");
            return Err(Error::ParameterValue { name, reason });
        }
        if let Some(stored) = self.store.parameters.get(&name) {
            stored.check_same(&pieces)?;
        } else {
            let mut flat = Vec::with_capacity(pieces.len());
            for piece in &pieces {
                flat.push(self.initial(&join(&name, &piece.name), piece)?);
            }
            let var = Var::from_tensor(&joined(&flat)?)?;
            let parameter = Parameter { name: name.clone(), var, pieces };
            self.store.parameters.insert(name.clone(), parameter);
        }
        let var = self.variable()?;
        let tensor = var.as_tensor();
        Ok(if (self.trained)(&name) { tensor.clone() } else { tensor.detach() })
    }

    /// The variable behind [`Params::flat`], for layers that set their parameters themselves when
    /// they see the first data.
    pub(crate) fn variable(&self) -> Result<Var> {
        match self.store.parameters.get(&self.prefix) {
            Some(parameter) => Ok(parameter.var.clone()),
            None => {
                let missing = vec![self.prefix.clone()];
                Err(Error::ParameterNames { missing, unexpected: vec![] })
            }
        }
    }

    fn initial(&mut self, name: &str, piece: &Piece) -> Result<Tensor> {
        let (dtype, device) = (self.store.dtype, self.store.device.clone());
        if let Some(loaded) = self.take(name) {
            check_shape(name, &piece.file_shape(), &loaded)?;
            let loaded = host::place(&loaded, dtype, &device)?;
            return Ok(piece.to_memory(&loaded)?.flatten_all()?);
        }
        let n = piece.len();
        let values = match &piece.init {
            Init::Constant(c) => vec![*c; n],
            Init::Uniform { bound } => {
                Stream::new(self.store.seed, name).uniform(n, -bound, *bound)
            }
            Init::Values(values) => values.clone(),
        };
        if values.len() != n {
            let reason = format!("has {n} elements, but {} initial values", values.len());
            return Err(Error::ParameterValue { name: name.to_owned(), reason });
        }
        Ok(host::place(&Tensor::from_vec(values, n, &Device::Cpu)?, dtype, &device)?)
    }

    /// A buffer: saved with the model, never trained. `init` draws from the stream named after it.
    ///
    /// # Errors
    /// If the name was used before or `init` fails.
    pub fn buffer(
        &mut self,
        name: &str,
        init: impl FnOnce(&mut Stream, &Device) -> Result<Tensor>,
    ) -> Result<Tensor> {
        let name = join(&self.prefix, name);
        self.claim(&name)?;
        if let Some(tensor) = self.store.buffers.get(&name) {
            return Ok(tensor.clone());
        }
        let device = self.store.device.clone();
        let tensor = match self.take(&name) {
            Some(loaded) => host::place(&loaded, loaded.dtype(), &device)?,
            None => init(&mut Stream::new(self.store.seed, &name), &device)?,
        };
        self.store.buffers.insert(name, tensor.clone());
        Ok(tensor)
    }

    /// A buffer that an explicit call may change: saved with the model, never trained.
    ///
    /// # Errors
    /// If the name was used before, or a loaded tensor has another shape.
    pub fn state(&mut self, name: &str, initial: &Tensor) -> Result<Var> {
        let name = join(&self.prefix, name);
        self.claim(&name)?;
        if let Some(state) = self.store.states.get(&name) {
            return Ok(state.clone());
        }
        let value = match self.take(&name) {
            Some(loaded) => {
                check_shape(&name, initial.dims(), &loaded)?;
                host::place(&loaded, initial.dtype(), initial.device())?
            }
            None => initial.clone(),
        };
        let state = Var::from_tensor(&value)?;
        self.store.states.insert(name, state.clone());
        Ok(state)
    }

    /// The full dotted name of `name`, for messages.
    pub fn full_name(&self, name: &str) -> String {
        join(&self.prefix, name)
    }
}
