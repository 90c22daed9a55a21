//! Integration tests of `mflow-eval`: each module states its oracle.

mod gallery;
