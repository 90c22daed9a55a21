//! Tables in memory.

use mflow_data::io::Table;

use crate::files::assert_error;

#[test]
fn sizes_and_names_are_checked() {
    assert_error(Table::new(2, 2, vec![1.0; 3]), &["2 rows and 2 columns", "3 values"]);
    assert_error(Table::new(usize::MAX, 2, vec![1.0; 2]), &["2 values"]);
    assert_error(Table::new(0, 2, vec![]), &["no rows"]);
    assert_error(Table::new(2, 0, vec![]), &["no columns"]);
    assert_error(Table::new(1, 2, vec![1.0, f64::INFINITY]), &["found inf in row 0", "column 1"]);
    let table = Table::new(2, 2, vec![1.0, 2.0, 3.0, 4.0]).expect("a table");
    assert_eq!(table.row(1), Some([3.0, 4.0].as_slice()), "the last row");
    assert_eq!(table.row(2), None, "past the last row");
    assert_error(table.with_columns(vec!["a".to_owned()]), &["expected 2", "found 1"]);
}

#[test]
fn single_precision_rounds_and_refuses_to_overflow() {
    // Half a unit in the last place above the largest float rounds up to infinity.
    let limit = f64::from(f32::MAX) + 2.0_f64.powi(103);
    let below = Table::new(1, 2, vec![0.1, limit.next_down()]).expect("a table");
    assert_eq!(below.to_f32().expect("floats"), [0.1_f32, f32::MAX], "rounded to the nearest");
    let names = ["a", "b"].map(str::to_owned).to_vec();
    let above = Table::new(2, 2, vec![0.0, 0.0, 0.0, -limit]).expect("a table");
    let above = above.with_columns(names).expect("two names");
    assert_error(above.to_f32(), &["row 1 (counting from 0)", "column 1 (\"b\")", "32-bit"]);
}
