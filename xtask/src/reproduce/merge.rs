//! Layers of settings: later tables over earlier ones.

use toml::{Table, Value};

/// Puts `over` on `base`: tables are merged key by key, everything else (arrays too) is replaced.
pub(super) fn merge(base: &mut Table, over: &Table) {
    for (key, value) in over {
        match (base.get_mut(key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => merge(below, above),
            _ => {
                base.insert(key.clone(), value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Table {
        text.parse().unwrap()
    }

    #[test]
    fn tables_are_merged_and_the_rest_is_replaced() {
        let mut base = table("a = 1\nl = [1, 2]\n[t]\nx = 1\ny = 2\n[t.u]\nz = 3\n[v]\nw = 4\n");
        merge(&mut base, &table("l = [3]\nn = 5\nv = 6\n[t]\ny = 7\n[t.u]\nzz = 8\n"));
        let merged =
            table("a = 1\nl = [3]\nn = 5\nv = 6\n[t]\nx = 1\ny = 7\n[t.u]\nz = 3\nzz = 8\n");
        assert_eq!(base, merged);
    }
}
