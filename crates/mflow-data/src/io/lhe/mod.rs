//! Les Houches event files (LHEF 1 to 3), `.lhe` and `.lhe.gz`: what event generators write. Alwall et al. (2006),
//! arXiv hep-ph/0609017; Butterworth et al. (2014), arXiv 1405.1067.

mod event;
mod reader;
mod select;
mod weights;

pub use event::{LheEvent, LheParticle};
pub use reader::LheReader;
pub use select::Species;
