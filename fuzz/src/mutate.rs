//! Changes of a file that a seed gives: what a test can do of a fuzzer's work, the same in every run.

use mflow::bijectors::Stream;

/// Numbers at which counts and lengths go wrong.
const NUMBERS: [u64; 12] = [
    0,
    1,
    0x7f,
    0xff,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0xffff_ffff,
    1 << 40,
    i64::MAX as u64,
    1 << 63,
    u64::MAX,
];

/// Pieces of the texts that readers know, and of texts that they had better not print.
const TOKENS: [&str; 40] = [
    "0",
    "-1",
    "1e999",
    "NaN",
    "inf",
    "null",
    "true",
    "[]",
    "{}",
    "[[",
    "\"",
    "'",
    ",",
    ":",
    "=",
    "\n",
    "\0",
    "\u{1b}[31m",
    "\u{7f}",
    "\u{9b}2J",
    "<script>",
    "../",
    "/",
    "18446744073709551615",
    "1e300",
    "-0.0",
    "1099511627776",
    "\"kind\":",
    "\"dim\":",
    "shape",
    "descr",
    "<f8",
    "True",
    "16777216",
    "\u{feff}",
    "é",
    "a.b=",
    "[0]",
    "[x]\n",
    "#",
];

/// A stream of random choices.
#[derive(Debug)]
pub struct Random(Stream);

impl Random {
    /// The stream of a seed and a name.
    pub fn new(seed: u64, name: &str) -> Self {
        Self(Stream::new(seed, name))
    }

    /// One of 0 to `count - 1`; 0 of none.
    #[expect(clippy::cast_possible_truncation, reason = "it is below the count, and not negative")]
    pub fn below(&mut self, count: usize) -> usize {
        self.0.uniform(1, 0., count.max(1) as f64)[0] as usize
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap_or(0)
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

/// The file `bytes` with one to four changes; `other` is what a part may come from.
pub fn mutated(bytes: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=random.below(4) {
        change(&mut bytes, other, random);
    }
    bytes
}

fn change(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let at = random.below(bytes.len() + 1);
    let length = random.below(64).min(bytes.len() - at);
    match random.below(9) {
        0 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << random.below(8)),
        1 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = random.byte()),
        2 => bytes.truncate(at),
        3 => drop(bytes.drain(at..at + length)),
        4 => {
            let part = bytes[at..at + length].to_vec();
            bytes.splice(at..at, part);
        }
        5 => {
            let number = random.one_of(&NUMBERS);
            let width = random.one_of(&[1, 2, 4, 8]);
            let number = match random.below(2) {
                0 => number.to_le_bytes()[..width].to_vec(),
                _ => number.to_be_bytes()[8 - width..].to_vec(),
            };
            let end = (at + width).min(bytes.len());
            bytes.splice(at..end, number);
        }
        6 => {
            let token = random.one_of(&TOKENS);
            let end = at + random.one_of(&[0, length.min(token.len())]);
            bytes.splice(at..end, token.bytes());
        }
        7 => {
            let from = random.below(other.len() + 1);
            let length = random.below(256).min(other.len() - from);
            let end = at + random.one_of(&[0, length.min(bytes.len() - at)]);
            bytes.splice(at..end, other[from..from + length].iter().copied());
        }
        _ => {
            // A number in a text, digit by digit.
            let digit = bytes.iter().skip(at).position(u8::is_ascii_digit);
            if let Some(digit) = digit {
                let start = at + digit;
                let digits = bytes[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
                let number = random.one_of(&NUMBERS).to_string();
                bytes.splice(start..start + digits, number.bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_changes_and_another_seed_others() {
        let draw = |seed| {
            let mut random = Random::new(seed, "a");
            [(); 50].map(|()| mutated(b"{\"dim\": 3, \"x\": [1, 2]}", b"other bytes", &mut random))
        };
        assert_eq!(draw(1), draw(1), "again");
        assert_ne!(draw(1), draw(2), "another seed");
        let changed =
            draw(1).iter().filter(|bytes| *bytes != b"{\"dim\": 3, \"x\": [1, 2]}").count();
        assert!(changed > 40, "{changed} of 50 are changed");
    }

    #[test]
    fn nothing_can_be_changed_too() {
        let mut random = Random::new(0, "nothing");
        let longest = (0..1000).map(|_| mutated(b"", b"", &mut random).len()).max();
        assert!(longest > Some(0), "tokens and numbers are put in");
    }
}
