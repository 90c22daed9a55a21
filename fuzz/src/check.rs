//! What holds of every error and every value.

use std::error::Error;
use std::panic::PanicHookInfo;
use std::path::Path;
use std::sync::Once;

use mflow::data::io::Table;

/// The words of an error and of its causes: they name `what`, and no character of them commands a terminal.
pub(crate) fn error(error: &(dyn Error + 'static), what: &str) {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    assert!(text.contains(what), "an error that does not name {what}: {text:?}");
    printable(&text);
}

/// No character of a message commands a terminal, and it is no longer than a person reads.
pub(crate) fn printable(text: &str) {
    let shown = mflow::bijectors::printable(text);
    assert!(shown == text, "a message that commands a terminal: {text:?}");
    assert!(text.len() < 1 << 16, "a message of {} bytes", text.len());
}

/// A table has what it says.
pub(crate) fn table(table: &Table) {
    assert_eq!(
        table.values().len(),
        table.rows() * table.cols(),
        "as many values as rows and columns"
    );
    assert!(table.values().iter().all(|value| value.is_finite()), "finite values");
    assert!(
        table.columns().is_none_or(|names| names.len() == table.cols()),
        "a name for each column"
    );
    let of_row = table.row_shape().map(|shape| shape.iter().product::<usize>());
    assert!(of_row.is_none_or(|numbers| numbers == table.cols()), "rows of their shape");
}

/// The same bits.
pub(crate) fn same(left: &[f64], right: &[f64]) {
    let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(left), bits(right), "other numbers");
}

/// Let panics in other people's code be, which a reader catches on purpose; ours still end the process under libFuzzer.
pub(crate) fn foreign_panics_are_caught() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info: &PanicHookInfo<'_>| {
            // Paths of packages from a registry are absolute, those of the workspace start at its root.
            let foreign =
                info.location().is_some_and(|place| Path::new(place.file()).is_absolute());
            if !foreign {
                before(info);
            }
        }));
    });
}
