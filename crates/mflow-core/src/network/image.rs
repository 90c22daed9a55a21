//! The stages of networks of images.
use super::stage::Stage;
use super::{Ends, ImageNetConfig};
use mflow_bijectors::{
    Bijector, Direction, Error, NetConfig, Params, ReshapeConfig, Result, SqueezeConfig,
};
use std::sync::Arc;

/// Levels, channels and units, at most: what asks for more is a mistake, or a file made to fill memory.
const MOST: usize = 1 << 15;

/// A level, as an encoder goes through it.
#[derive(Clone, Copy, Debug)]
struct Level {
    /// Sides of the images that it starts from.
    sides: [usize; 2],
    /// Channels of these.
    inputs: usize,
    /// Channels in which it ends, on images of half the sides.
    outputs: usize,
}

impl ImageNetConfig {
    /// The stages of an encoder or of a decoder, by which of its ends are images; parameters are named after their numbers.
    pub(super) fn stages(
        &self,
        params: &mut Params<'_>,
        ends: Ends,
        zero: bool,
    ) -> Result<Vec<Stage>> {
        let levels = self.levels()?;
        let size = product(&self.shape);
        if ends.inputs == size {
            self.encoder(&levels, params, ends, zero)
        } else if ends.outputs == size {
            self.decoder(&levels, params, ends, zero)
        } else {
            let reason = format!(
                "must be that of data of {} features, found {:?}",
                ends.inputs.max(ends.outputs),
                self.shape
            );
            Err(Error::config("image.shape", reason))
        }
    }

    fn levels(&self) -> Result<Vec<Level>> {
        let refuse =
            |field: &str, reason: String| Err(Error::config(format!("image.{field}"), reason));
        let [mut h, mut w, mut c] = match self.shape[..] {
            [h, w, c] if (1..usize::MAX).contains(&product(&[h, w, c])) => [h, w, c],
            _ => {
                let reason = format!(
                    "must be [height, width, channels], all positive, found {:?}",
                    self.shape
                );
                return refuse("shape", reason);
            }
        };
        for (field, v) in
            [("levels", self.levels), ("channels", self.channels), ("hidden", self.hidden)]
        {
            match v {
                0 => return refuse(field, "must be positive, found 0".to_owned()),
                1..=MOST => {}
                _ => return refuse(field, format!("must be at most {MOST}, found {v}")),
            }
        }
        let mut levels = vec![];
        for level in 0..self.levels {
            if h % 2 != 0 || w % 2 != 0 {
                let reason = format!(
                    "must have sides that are multiples of 2^{}, found {:?}",
                    self.levels, self.shape
                );
                return refuse("shape", reason);
            }
            let outputs = self.channels.saturating_mul(1 << level);
            levels.push(Level { sides: [h, w], inputs: c, outputs });
            (h, w, c) = (h / 2, w / 2, outputs);
        }
        Ok(levels)
    }

    /// Shape in which the last level ends.
    fn last(levels: &[Level]) -> [usize; 3] {
        levels.last().map_or([0; 3], |l| [l.sides[0] / 2, l.sides[1] / 2, l.outputs])
    }

    /// The network of a level, of as many hidden channels as it has on the side of the coordinates.
    fn net(&self, level: Level) -> NetConfig {
        NetConfig::new(level.outputs, self.blocks)
            .with_activation(self.activation)
            .with_dropout(self.dropout)
    }

    /// One hidden layer between all that is left of an image and coordinates.
    fn hidden_layer(&self) -> NetConfig {
        NetConfig::mlp(self.hidden, 0).with_activation(self.activation).with_dropout(self.dropout)
    }

    fn encoder(
        &self,
        levels: &[Level],
        params: &mut Params<'_>,
        ends: Ends,
        zero: bool,
    ) -> Result<Vec<Stage>> {
        let mut stages = vec![flat(&self.shape, Direction::Forward, params)?];
        for (i, &level) in levels.iter().enumerate() {
            let [h, w] = level.sides;
            stages.push(squeeze(level, Direction::Forward, params)?);
            let of_level = Ends { inputs: 4 * level.inputs, outputs: level.outputs, ..ends };
            let params = &mut params.scope(&i.to_string());
            let net = self.net(level);
            stages.push(Stage::of_images(params, &net, [h / 2, w / 2], of_level, false)?);
        }
        let last = Self::last(levels);
        stages.push(flat(&last, Direction::Inverse, params)?);
        let ends = Ends { inputs: last.iter().product(), ..ends };
        let params = &mut params.scope(&levels.len().to_string());
        stages.push(Stage::of_vectors(params, &self.hidden_layer(), ends, zero)?);
        Ok(stages)
    }

    fn decoder(
        &self,
        levels: &[Level],
        params: &mut Params<'_>,
        ends: Ends,
        zero: bool,
    ) -> Result<Vec<Stage>> {
        let last = Self::last(levels);
        let first = Ends { outputs: last.iter().product(), ..ends };
        let hidden = self.hidden_layer();
        let mut stages = {
            let params = &mut params.scope(&levels.len().to_string());
            vec![Stage::of_vectors(params, &hidden, first, false)?]
        };
        stages.push(flat(&last, Direction::Forward, params)?);
        for (i, &level) in levels.iter().enumerate().rev() {
            let [h, w] = level.sides;
            let of_level = Ends { inputs: level.outputs, outputs: 4 * level.inputs, ..ends };
            let net = self.net(level);
            stages.push(Stage::of_images(
                &mut params.scope(&i.to_string()),
                &net,
                [h / 2, w / 2],
                of_level,
                zero && i == 0,
            )?);
            stages.push(squeeze(level, Direction::Inverse, params)?);
        }
        stages.push(flat(&self.shape, Direction::Inverse, params)?);
        Ok(stages)
    }
}

/// Rows to images of this shape, or back.
fn flat(shape: &[usize], direction: Direction, params: &Params<'_>) -> Result<Stage> {
    let map = ReshapeConfig::new(&[shape.iter().product()], shape).build(params)?;
    Ok(Stage::Moved { map: Arc::new(map), direction })
}

/// Images to those of half the sides that a level works on, or back.
fn squeeze(level: Level, direction: Direction, params: &Params<'_>) -> Result<Stage> {
    let [h, w] = level.sides;
    let map: Arc<dyn Bijector> = Arc::new(SqueezeConfig::new(&[h, w, level.inputs]).build(params)?);
    Ok(Stage::Moved { map, direction })
}

/// Numbers of a shape; the largest number where there are more.
fn product(shape: &[usize]) -> usize {
    shape.iter().fold(1, |n: usize, side| n.saturating_mul(*side))
}
