//! Configs with one value changed to what nobody would write.
use serde_json::{Value, json};

/// Counts that no memory holds, and none.
pub(crate) const COUNTS: [u64; 4] = [0, 1, 1 << 40, u64::MAX];

/// The config with one of its numbers and lists changed, and where, one after the other.
pub(crate) fn mutations(config: &Value) -> Vec<(String, Value)> {
    let mut places = vec![];
    collect(config, String::new(), &mut places);
    let changed = |(place, value): (String, Value)| {
        let mut config = config.clone();
        let found = config.pointer_mut(&place).map(|old| *old = value.clone());
        found.map(|()| (format!("{place} = {value}"), config))
    };
    places.into_iter().filter_map(changed).collect()
}

fn collect(value: &Value, place: String, all: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(key, v)| collect(v, format!("{place}/{key}"), all));
        }
        Value::Array(items) => {
            all.push((place.clone(), json!([])));
            all.push((place.clone(), [items.as_slice(), items].concat().into()));
            items.iter().enumerate().for_each(|(i, v)| collect(v, format!("{place}/{i}"), all));
        }
        Value::Number(number) if number.is_u64() => {
            all.extend(COUNTS.map(|count| (place.clone(), count.into())));
        }
        Value::Number(_) => {
            let others = [0., -1., 1e-300, 1e300];
            all.extend(others.map(|number| (place.clone(), number.into())));
        }
        _ => {}
    }
}
