//! How images are read.

/// How images are read: what is cut out of each, its size, its colours, and what is done about those that do not fit.
///
/// By default images stay as they are, and all of them have to have the same height, width and colours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ImageOptions {
    /// The side in pixels of the square that is cut out of the centre; none takes the largest square where there is a size,
    /// and the whole image where there is none.
    pub crop: Option<usize>,
    /// The side in pixels that the square is resampled to, by a Lanczos filter of 3 lobes.
    pub size: Option<usize>,
    /// What becomes of colours.
    pub colours: Colours,
    /// Whether numbers of 16 bits become bytes: `v / 257`, rounded, which is exact for bytes that were made 16 bits long.
    /// Else they are refused.
    pub to_8_bits: bool,
    /// What is done about images that cannot be used.
    pub bad: BadImages,
}

/// What becomes of colours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Colours {
    /// They stay: 1 channel for grey images, 3 for red, green and blue.
    #[default]
    Keep,
    /// Grey, `0.299 R + 0.587 G + 0.114 B` (ITU-R BT.601), rounded: 1 channel.
    Grey,
    /// Red, green and blue: 3 channels, three times the same of a grey image.
    Rgb,
}

/// What is done about images that cannot be used: damaged files, and those of another size or other colours than the rest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum BadImages {
    /// The first of them is an error.
    #[default]
    Refuse,
    /// They are left out, counted and named. What most images have is the shape of all.
    Skip,
}
