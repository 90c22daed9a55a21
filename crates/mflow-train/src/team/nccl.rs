//! A team whose GPUs send to each other by NCCL.
use super::Team;
use crate::{Error, Result};
use candle_core::cuda_backend::cudarc::driver::{CudaSlice, DeviceRepr, ValidAsZeroBits};
use candle_core::cuda_backend::cudarc::nccl::result::NcclError;
use candle_core::cuda_backend::cudarc::nccl::{Comm, Id, NcclType, group_end, group_start};
use candle_core::cuda_backend::{CudaDType, CudaDevice};
use candle_core::op::BackpropOp;
use candle_core::{CudaStorage, DType, Device, DeviceLocation, Shape, Storage, Tensor, WithDType};
use mflow_bijectors::host;
use std::ffi::c_char;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// The length of the name under which ranks find each other.
const NAME: usize = 128;

/// A team over another one: tensors on a GPU go from GPU to GPU, all others as in the team below.
///
/// The ranks join at the first tensor on a GPU. Each needs a GPU of its own: NCCL refuses two ranks on one.
#[derive(Debug)]
pub struct Nccl {
    below: Arc<dyn Team>,
    joined: Mutex<Option<Joined>>,
}

/// A thread that holds the communicator, which must not change threads.
#[derive(Debug)]
struct Joined {
    location: DeviceLocation,
    requests: Sender<Request>,
}

/// An exchange.
struct Request {
    own: Vec<Tensor>,
    lengths: Vec<usize>,
    reply: Sender<Result<Vec<Tensor>>>,
}

impl Nccl {
    /// Tensors on GPUs by NCCL, all else by `below`, which ranks also find each other by.
    pub fn over(below: Arc<dyn Team>) -> Self {
        Self { below, joined: Mutex::new(None) }
    }

    /// The name that rank 0 has made, on all ranks.
    #[expect(clippy::cast_possible_truncation, reason = "whole numbers of eight bits")]
    fn name(&self) -> Result<Id> {
        let own: Vec<f64> = if self.is_first() {
            Id::new().map_err(refuse)?.internal().iter().map(|c| f64::from(*c)).collect()
        } else {
            vec![]
        };
        let lengths: Vec<usize> =
            (0..self.size()).map(|rank| if rank == 0 { NAME } else { 0 }).collect();
        let count = own.len();
        let own = Tensor::from_vec(own, count, &Device::Cpu)?;
        let all = host::values::<f64>(&self.below.gather(&own, &lengths)?)?;
        let mut name: [c_char; NAME] = [0; NAME];
        for (to, from) in name.iter_mut().zip(all) {
            *to = from as c_char;
        }
        Ok(Id::uninit(name))
    }

    /// Join the others with this device, in a thread that stays as long as this team.
    fn join(&self, device: &Device) -> Result<Joined> {
        let name = self.name()?;
        let (rank, size) = (self.rank(), self.size());
        let (requests, inbox) = channel::<Request>();
        let (ready, is_ready) = channel();
        let location = device.location();
        let device = device.as_cuda_device()?.clone();
        let work = move || {
            match Comm::from_rank(device.cuda_stream(), rank, size, name) {
                Ok(comm) => {
                    if ready.send(Ok(())).is_ok() {
                        answer(&comm, &device, &inbox);
                    }
                }
                // Who asked has gone if nobody takes the error.
                Err(error) => drop(ready.send(Err(refuse(error)))),
            }
        };
        thread::Builder::new()
            .name("nccl".into())
            .spawn(work)
            .map_err(|error| Error::Nccl { reason: format!("has no thread: {error}") })?;
        is_ready.recv().map_err(|_| ended())??;
        Ok(Joined { location, requests })
    }

    /// [`Team::exchange`] of tensors on a GPU.
    fn send(&self, device: &Device, own: Vec<Tensor>, lengths: &[usize]) -> Result<Vec<Tensor>> {
        // Held until the answer is there: ranks ask in the same order.
        let mut joined = self.joined.lock().unwrap_or_else(PoisonError::into_inner);
        let there = match joined.take() {
            Some(there) => there,
            None => self.join(device)?,
        };
        let there = joined.insert(there);
        if there.location != device.location() {
            return Err(Error::Nccl {
                reason: format!(
                    "joined this rank with {:?}, and was given a tensor on {:?}",
                    there.location,
                    device.location()
                ),
            });
        }
        let (reply, answer) = channel();
        let request = Request { own, lengths: lengths.to_vec(), reply };
        there.requests.send(request).map_err(|_| ended())?;
        answer.recv().map_err(|_| ended())?
    }
}

impl Team for Nccl {
    fn rank(&self) -> usize {
        self.below.rank()
    }
    fn size(&self) -> usize {
        self.below.size()
    }
    fn gather(&self, own: &Tensor, lengths: &[usize]) -> Result<Tensor> {
        if !own.device().is_cuda() || self.size() == 1 {
            return self.below.gather(own, lengths);
        }
        let all = self.send(own.device(), vec![own.clone(); self.size()], lengths)?;
        Ok(Tensor::cat(&all, 0)?)
    }
    fn exchange(&self, own: &[Tensor], lengths: &[usize]) -> Result<Vec<Tensor>> {
        match own.first().map(Tensor::device) {
            Some(device) if device.is_cuda() && self.size() > 1 => {
                self.send(device, own.to_vec(), lengths)
            }
            _ => self.below.exchange(own, lengths),
        }
    }
}

/// Make what is asked for, until nobody can ask any more.
fn answer(comm: &Comm, device: &CudaDevice, inbox: &Receiver<Request>) {
    for Request { own, lengths, reply } in inbox {
        let all = match own.first().map(Tensor::dtype) {
            Some(DType::F64) => exchange::<f64>(comm, device, &own, &lengths),
            _ => exchange::<f32>(comm, device, &own, &lengths),
        };
        if reply.send(all).is_err() {
            return;
        }
    }
}

/// Numbers that NCCL carries.
trait Numbers: WithDType + CudaDType + NcclType + DeviceRepr + ValidAsZeroBits {}

impl Numbers for f32 {}
impl Numbers for f64 {}

/// [`Team::exchange`]: one group of messages, which go and come at once.
fn exchange<T: Numbers>(
    comm: &Comm,
    device: &CudaDevice,
    own: &[Tensor],
    lengths: &[usize],
) -> Result<Vec<Tensor>> {
    let parts = own.iter().map(Tensor::contiguous).collect::<candle_core::Result<Vec<_>>>()?;
    let held: Vec<_> = parts.iter().map(Tensor::storage_and_layout).collect();
    let mut came = lengths
        .iter()
        // Devices have no empty arrays.
        .map(|length| device.alloc_zeros::<T>((*length).max(1)))
        .collect::<candle_core::Result<Vec<CudaSlice<T>>>>()?;
    group_start().map_err(refuse)?;
    let sent = (0..)
        .zip(held.iter().zip(came.iter_mut().zip(lengths)))
        // What stays here needs no message.
        .filter(|(peer, _)| usize::try_from(*peer) != Ok(comm.rank()))
        .try_for_each(|(peer, ((storage, layout), (into, length)))| {
            let (Storage::Cuda(storage), Some((start, end))) =
                (&**storage, layout.contiguous_offsets())
            else {
                return Err(Error::Nccl { reason: "was given a tensor of another device".into() });
            };
            if start < end {
                let from = storage.as_cuda_slice::<T>()?.try_slice(start..end);
                comm.send(&from.ok_or_else(outside)?, peer).map_err(refuse)?;
            }
            if *length > 0 {
                let mut into = into.try_slice_mut(..*length).ok_or_else(outside)?;
                comm.recv(&mut into, peer).map_err(refuse)?;
            }
            Ok(())
        });
    // A group that was opened must be closed, whatever came of it.
    let closed = group_end().map_err(refuse);
    sent?;
    closed?;
    drop(held);
    let tensor = |(rank, (slice, length)): (usize, (CudaSlice<T>, &usize))| {
        let device = Device::Cuda(device.clone());
        match (parts.get(rank), *length) {
            (Some(part), _) if rank == comm.rank() => Ok(part.clone()),
            (_, 0) => Ok(host::zeros(Shape::from(0), T::DTYPE, &device)?),
            (_, length) => {
                let storage = CudaStorage::wrap_cuda_slice(slice, device.as_cuda_device()?.clone());
                let storage = Storage::Cuda(storage);
                Ok(Tensor::from_storage(storage, length, BackpropOp::none(), false))
            }
        }
    };
    came.into_iter().zip(lengths).enumerate().map(tensor).collect()
}

fn refuse(error: NcclError) -> Error {
    Error::Nccl { reason: format!("says {error:?}") }
}

fn outside() -> Error {
    Error::Nccl { reason: "was given a tensor longer than its memory".into() }
}

fn ended() -> Error {
    Error::Nccl { reason: "ended its thread".into() }
}
