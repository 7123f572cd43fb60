//! Normal draws by the ziggurat.
//!
//! The method is that of Marsaglia and Tsang (*The ziggurat method for generating random variables*, 2000)
//! with 256 layers, one word of 64 bits for each draw but 1.2 % of them; sign and position take the upper 53
//! bits, the layer the lower 8, which the 2000 paper had overlap.

use std::sync::LazyLock;
use supple_core::Stream;

/// Fills `z` with independent standard normals.
pub(super) fn fill(stream: &mut Stream, z: &mut [f64]) {
    let ziggurat = &*ZIGGURAT;
    let mut words = [0; 64];
    for z in z.chunks_mut(words.len()) {
        let words = &mut words[..z.len()];
        stream.fill_bits(words);
        z.iter_mut().zip(words).for_each(|(z, word)| *z = ziggurat.draw(*word, stream));
    }
}

/// Number of layers.
const LAYERS: usize = 256;
/// Where the tail begins, and the area of each layer.
pub(super) const TAIL: f64 = 3.654_152_885_361_009;
const AREA: f64 = 0.004_928_673_233_974_658;

/// Right edges of the layers and the density $e^{-x^2/2}$ there. Layer 0 is the base with the tail: its
/// edge is that of a rectangle of the same area.
struct Ziggurat {
    edge: [f64; LAYERS + 1],
    density: [f64; LAYERS + 1],
}

static ZIGGURAT: LazyLock<Ziggurat> = LazyLock::new(Ziggurat::new);

/// $e^{-x^2/2}$, from `libm` so that it is the same on every machine.
fn density(x: f64) -> f64 {
    libm::exp(-0.5 * x * x)
}

impl Ziggurat {
    fn new() -> Self {
        let mut edge = [0.0; LAYERS + 1];
        edge[0] = AREA / density(TAIL);
        edge[1] = TAIL;
        for i in 2..LAYERS {
            edge[i] = libm::sqrt(-2.0 * libm::log(AREA / edge[i - 1] + density(edge[i - 1])));
        }
        Self { edge, density: edge.map(density) }
    }

    /// A draw from a word, and from more of the stream where that is refused.
    #[inline]
    fn draw(&self, mut bits: u64, stream: &mut Stream) -> f64 {
        const UNIT: f64 = 1.0 / (1u64 << 52) as f64;
        loop {
            let layer = bits as usize % LAYERS;
            let x = (bits as i64 >> 11) as f64 * UNIT * self.edge[layer];
            if x.abs() < self.edge[layer + 1] {
                return x;
            }
            if let Some(x) = self.draw_at_the_edge(layer, x, stream) {
                return x;
            }
            bits = stream.bits();
        }
    }

    /// The part of a layer that is not all under the density.
    #[cold]
    fn draw_at_the_edge(&self, layer: usize, x: f64, stream: &mut Stream) -> Option<f64> {
        if layer == 0 {
            return Some(draw_tail(stream).copysign(x));
        }
        let (low, high) = (self.density[layer], self.density[layer + 1]);
        (low + (high - low) * stream.uniform() < density(x)).then_some(x)
    }
}

/// A normal beyond [`TAIL`], by Marsaglia's rejection from an exponential.
fn draw_tail(stream: &mut Stream) -> f64 {
    loop {
        let beyond = -libm::log(stream.uniform()) / TAIL;
        if -2.0 * libm::log(stream.uniform()) > beyond * beyond {
            return TAIL + beyond;
        }
    }
}
