//! The element types of `.npy` that are numbers, and how to widen them to `f64`.

/// An element type: what it is, its size and its byte order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Element {
    kind: Kind,
    big_endian: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bool,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    F16,
    F32,
    F64,
}

impl Element {
    /// Parses a type string like `<f8`. The error is what it is instead, in words.
    pub(super) fn parse(descr: &str) -> Result<Self, &'static str> {
        let (order, code) = match descr.split_at_checked(1) {
            Some((order @ ("<" | ">" | "|" | "="), code)) => (order, code),
            _ => return Err("an unknown type"),
        };
        let kind = match code {
            "b1" => Kind::Bool,
            "i1" => Kind::I8,
            "i2" => Kind::I16,
            "i4" => Kind::I32,
            "i8" => Kind::I64,
            "u1" => Kind::U8,
            "u2" => Kind::U16,
            "u4" => Kind::U32,
            "u8" => Kind::U64,
            "f2" => Kind::F16,
            "f4" => Kind::F32,
            "f8" => Kind::F64,
            _ => return Err(describe(code)),
        };
        let big_endian = order == ">" || (order == "=" && cfg!(target_endian = "big"));
        Ok(Self { kind, big_endian })
    }

    /// Bytes per element.
    pub(super) fn size(self) -> usize {
        match self.kind {
            Kind::Bool | Kind::I8 | Kind::U8 => 1,
            Kind::I16 | Kind::U16 | Kind::F16 => 2,
            Kind::I32 | Kind::U32 | Kind::F32 => 4,
            Kind::I64 | Kind::U64 | Kind::F64 => 8,
        }
    }

    /// Appends the elements of `bytes`, whole ones, each rounded to the nearest `f64`.
    pub(super) fn decode(self, bytes: &[u8], values: &mut Vec<f64>) {
        let big = self.big_endian;
        match self.kind {
            Kind::Bool => each(big, bytes, values, |[b]| f64::from(u8::from(b != 0))),
            Kind::I8 => each(big, bytes, values, |b| i8::from_le_bytes(b).into()),
            Kind::I16 => each(big, bytes, values, |b| i16::from_le_bytes(b).into()),
            Kind::I32 => each(big, bytes, values, |b| i32::from_le_bytes(b).into()),
            Kind::I64 => each(big, bytes, values, |b| i64::from_le_bytes(b) as f64),
            Kind::U8 => each(big, bytes, values, |[b]| b.into()),
            Kind::U16 => each(big, bytes, values, |b| u16::from_le_bytes(b).into()),
            Kind::U32 => each(big, bytes, values, |b| u32::from_le_bytes(b).into()),
            Kind::U64 => each(big, bytes, values, |b| u64::from_le_bytes(b) as f64),
            Kind::F16 => each(big, bytes, values, |b| half(u16::from_le_bytes(b))),
            Kind::F32 => each(big, bytes, values, |b| f32::from_le_bytes(b).into()),
            Kind::F64 => each(big, bytes, values, f64::from_le_bytes),
        }
    }
}

/// Appends every group of N bytes, put in little-endian order and then converted.
fn each<const N: usize>(
    big_endian: bool,
    bytes: &[u8],
    values: &mut Vec<f64>,
    convert: impl Fn([u8; N]) -> f64,
) {
    values.extend(bytes.as_chunks::<N>().0.iter().map(|&(mut group)| {
        if big_endian {
            group.reverse();
        }
        convert(group)
    }));
}

/// An IEEE 754 binary16 number, exactly.
pub(super) fn half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 0 { 1.0 } else { -1.0 };
    let (exponent, mantissa) = ((bits >> 10) & 0x1f, f64::from(bits & 0x3ff));
    let magnitude = match exponent {
        0 => mantissa * 2.0_f64.powi(-24),
        31 if mantissa == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1024.0 + mantissa) * 2.0_f64.powi(i32::from(exponent) - 25),
    };
    sign * magnitude
}

/// What a type is that is not a supported number.
fn describe(code: &str) -> &'static str {
    match code.as_bytes().first() {
        Some(b'c') => "complex numbers",
        Some(b'O') => "Python objects",
        Some(b'S' | b'a' | b'U') => "strings",
        Some(b'V') => "raw bytes",
        Some(b'M') => "dates",
        Some(b'm') => "time differences",
        Some(b'f') => "floats of another size",
        Some(b'i' | b'u') => "integers of another size",
        _ => "an unknown type",
    }
}
