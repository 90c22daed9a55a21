//! Integration tests of `mflow-eval`: each module states its oracle.

mod curves;
mod estimate;
mod gallery;
mod picture;
mod surfaces;
