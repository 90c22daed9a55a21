//! Bodies of questions to `mflow serve`. The program has no library: its reader is compiled here from its own source.
#![allow(dead_code, unreachable_pub, reason = "the program uses more of these files")]

use std::sync::OnceLock;

use mflow::core::candle::Device;

use crate::{check, scratch, seeds};

mod model {
    //! What the reader knows of a model.
    use mflow::core::{LoadedModel, ModelSignature};

    #[derive(Debug)]
    pub(crate) struct Opened {
        pub(crate) loaded: LoadedModel,
    }

    impl Opened {
        pub(crate) fn signature(&self) -> &ModelSignature {
            self.loaded.model.signature()
        }
    }
}

mod sample {
    //! What a question about points has.
    use mflow::core::candle::Tensor;

    #[derive(Debug)]
    pub(crate) struct Draws {
        pub(crate) rows: usize,
        pub(crate) context: Option<Tensor>,
        pub(crate) seed: u64,
        pub(crate) on_manifold: bool,
    }
}

mod serve;

/// The first byte says what is asked, of which model, and in which format.
pub fn service(bytes: &[u8]) {
    static MODELS: OnceLock<[model::Opened; 2]> = OnceLock::new();
    let Some((how, body)) = bytes.split_first() else { return };
    let models = MODELS.get_or_init(|| {
        [
            ("plain.safetensors", seeds::small_model()),
            ("given.safetensors", seeds::conditional_model()),
        ]
        .map(|(name, bytes)| {
            let path = scratch::file(name, bytes);
            let loaded = mflow::core::load_model(&path, None, &Device::Cpu).expect("a model");
            model::Opened { loaded }
        })
    });
    match serve::ask(*how, body, &models[usize::from(how >> 7)]) {
        Ok(rows) => assert!(rows > 0, "a question about nothing"),
        Err((message, is_client)) => {
            check::printable(&message);
            assert!(is_client, "the service takes the blame for {message}");
        }
    }
}
