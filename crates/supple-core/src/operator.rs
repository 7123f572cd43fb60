//! The contract that every operator signs.

use crate::dual::Dual;
use crate::error::{Error, Fault};
use crate::params::Params;
use crate::real::{Float, Real};
use crate::rng::Stream;
use crate::scratch::Scratch;

/// A differentiable relaxation of a discrete function, written for **one item** on slices.
///
/// `I` real inputs, `O` outputs, `K` integer inputs. Batches, strides, axes, broadcasting, threads,
/// dtypes, `jvp`, second derivatives and the bindings are derived from these few methods.
pub trait Operator<const I: usize = 1, const O: usize = 1, const K: usize = 0>: Send + Sync {
    /// Name in snake case, the same in Rust, LibTorch, Python and the docs.
    const NAME: &'static str;
    /// Arguments and core sizes: see [`Signature`](crate::Signature).
    const SIGNATURE: &'static str;
    /// How far the gradient may be trusted.
    const GRADIENT: Gradient = Gradient::Exact;

    /// What `forward` found and the derivatives need: block numbers, a partition, a factorisation.
    type Saved<T: Real>: Default + Send + Sync;

    /// Refuses parameters that make no sense, once per call and before any work. Operators with
    /// [`Params`] call [`Params::check`] here. `sizes` are the symbols' sizes; in a ragged batch, it is
    /// called for each item.
    fn validate(&self, _sizes: &[usize]) -> Result<(), Error> {
        Ok(())
    }

    /// The size of a symbol that no input has, such as `k` in `"x(n) -> y(k)"`.
    fn size(&self, _symbol: &str) -> Option<usize> {
        None
    }

    /// The work of one item in elementary steps, where it is more than its number of elements. The
    /// engine uses it to decide on threads.
    fn work(&self, _sizes: &[usize]) -> usize {
        0
    }

    /// How the output scales with the inputs and the softness, where it does.
    fn scaling(&self) -> Option<Scaling<I, O>> {
        None
    }

    /// Writes `y = f(x)` and whatever the derivatives will need. `y` is zero on entry, `saved` is
    /// [`Default`].
    fn forward<T: Real>(
        &self,
        at: Args<'_, T, I, K>,
        y: [&mut [T]; O],
        saved: &mut Self::Saved<T>,
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault>;

    /// Writes `dx = J(x)ᵀ dy`. `dx` is zero on entry.
    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, Self::Saved<T>, I, O, K>,
        dy: [&[T]; O],
        dx: [&mut [T]; I],
        scratch: &mut Scratch<T>,
    );

    /// `forward` at duals when the values are known: fills outputs *and* `saved` with values and
    /// tangents.
    ///
    /// The default runs `forward` again. An operator that iterates to a solution and would find the
    /// repetition dear overrides it, and one that draws noise must: derivatives belong to the noise of the
    /// values. Both parts must carry tangents, or second derivatives are wrong.
    fn lift<F: Float>(
        &self,
        at: Args<'_, Dual<F>, I, K>,
        _values: Point<'_, F, Self::Saved<F>, I, O, K>,
        y: [&mut [Dual<F>]; O],
        saved: &mut Self::Saved<Dual<F>>,
        scratch: &mut Scratch<Dual<F>>,
    ) -> Result<(), Fault> {
        self.forward(at, y, saved, scratch)
    }

    /// Writes the discrete function that the operator relaxes. `y` is zero on entry.
    fn hard<T: Float>(
        &self,
        _at: Args<'_, T, I, K>,
        _y: [&mut [T]; O],
        _scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        Err(Fault::NoHardForm)
    }

    /// `hard` beside a relaxation that has been computed: what a straight-through call puts out.
    ///
    /// An operator that draws noise without a seed overrides it, so that the discrete function has the noise
    /// that `forward` saved and the gradient is that of the same sample. An operator made of another one
    /// forwards it, as it does `lift`.
    fn hard_at<T: Float>(
        &self,
        at: Args<'_, T, I, K>,
        _saved: &Self::Saved<T>,
        y: [&mut [T]; O],
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        self.hard(at, y, scratch)
    }
}

/// What a kernel is called with.
#[derive(Debug, Clone, Copy)]
pub struct Args<'a, T, const I: usize = 1, const K: usize = 0> {
    /// Real inputs.
    pub x: [&'a [T]; I],
    /// Integer inputs.
    pub k: [&'a [i64]; K],
    /// Sizes of the signature's symbols, in order of first appearance.
    pub sizes: &'a [usize],
    /// Number of the item in the flattened batch, for [`Stream`]s.
    pub item: usize,
}

impl<T, const I: usize, const K: usize> Args<'_, T, I, K> {
    /// The first `N` sizes: `let [m, n] = at.sizes();`.
    pub fn sizes<const N: usize>(&self) -> [usize; N] {
        std::array::from_fn(|i| self.sizes[i])
    }
}

/// Where a derivative is taken: the arguments, the outputs, and what `forward` saved.
#[derive(Debug)]
pub struct Point<'a, T, S, const I: usize = 1, const O: usize = 1, const K: usize = 0> {
    /// Real inputs.
    pub x: [&'a [T]; I],
    /// Integer inputs.
    pub k: [&'a [i64]; K],
    /// Sizes of the signature's symbols.
    pub sizes: &'a [usize],
    /// Number of the item in the flattened batch.
    pub item: usize,
    /// Outputs.
    pub y: [&'a [T]; O],
    /// What `forward` saved.
    pub saved: &'a S,
}

impl<'a, T, S, const I: usize, const O: usize, const K: usize> Point<'a, T, S, I, O, K> {
    /// The same with something else saved.
    pub fn with<R>(self, saved: &'a R) -> Point<'a, T, R, I, O, K> {
        let Self { x, k, sizes, item, y, .. } = self;
        Point { x, k, sizes, item, y, saved }
    }
    /// The arguments alone.
    pub fn args(&self) -> Args<'a, T, I, K> {
        Args { x: self.x, k: self.k, sizes: self.sizes, item: self.item }
    }
    /// The first `N` sizes: `let [m, n] = at.sizes();`.
    pub fn sizes<const N: usize>(&self) -> [usize; N] {
        std::array::from_fn(|i| self.sizes[i])
    }
}

/// How far a gradient may be trusted, and therefore how it is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gradient {
    /// The derivative everywhere.
    Exact,
    /// The derivative except at kinks, where it is that of one side or between the sides.
    AlmostEverywhere,
    /// Right in expectation. Second derivatives are refused.
    Stochastic,
    /// A stand-in by design. Second derivatives are refused.
    Surrogate,
}

impl Gradient {
    /// Whether `jvp` and second derivatives exist: whether the vjp is the Jacobian of forward.
    pub fn is_derivative(self) -> bool {
        matches!(self, Self::Exact | Self::AlmostEverywhere)
    }

    /// The word that tables and errors use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::AlmostEverywhere => "almost everywhere",
            Self::Stochastic => "stochastic",
            Self::Surrogate => "surrogate",
        }
    }
}

/// `f_o(c^p · x, c^s · softness) = c^{q_o} · f_o(x, softness)`.
///
/// By Euler's identity this gives the gradient with respect to the softness from those with respect to
/// the inputs: `s · softness · ∂ = Σ q_o ⟨dy_o, y_o⟩ − Σ p_i ⟨x_i, dx_i⟩`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scaling<const I: usize = 1, const O: usize = 1> {
    /// The operator's softness.
    pub softness: f64,
    /// The exponent s of the softness.
    pub power: i8,
    /// The exponent p of each input.
    pub inputs: [i8; I],
    /// The exponent q of each output.
    pub outputs: [i8; O],
}

/// What a catalogue entry promises beyond the mathematics: read by tests, benches, docs and bindings.
pub trait Contract<const I: usize = 1, const O: usize = 1, const K: usize = 0>:
    Operator<I, O, K> + Params
{
    /// What it does, in one line for the tables.
    const SUMMARY: &'static str;
    /// Where the definition comes from.
    const PAPER: &'static str;
    /// Time and memory of forward and backward for one item.
    const COST: &'static str;
    /// The parameters that the plain function takes; the others keep their defaults there.
    const ARGUMENTS: &'static [&'static str] = &["softness"];

    /// Parameter sets worth testing and timing: several, never only the defaults.
    fn cases() -> Vec<Self>;

    /// Properties that these parameters promise.
    fn laws(&self) -> Vec<Law> {
        vec![]
    }

    /// A naive definition of the relaxation itself, transcribed without cleverness.
    fn oracle(&self, _at: Args<'_, f64, I, K>) -> Option<[Vec<f64>; O]> {
        None
    }

    /// Sizes of the symbols to test at, always with small ones among them.
    fn test_sizes(&self) -> Vec<Vec<usize>> {
        let signature = crate::Signature::of(Self::NAME, Self::SIGNATURE);
        let count = signature.map_or(0, |s| s.symbols.len());
        [1, 2, 5, 8].map(|n| (0..count).map(|i| n + i).collect()).to_vec()
    }

    /// Sizes of the symbols to time at.
    fn bench_sizes(&self) -> Vec<Vec<usize>> {
        let signature = crate::Signature::of(Self::NAME, Self::SIGNATURE);
        let count = signature.map_or(0, |s| s.symbols.len());
        [16, 256].map(|n| vec![n; count]).to_vec()
    }

    /// Inputs of the given lengths at which the operator is defined. Standard normal if not said
    /// otherwise; operators with integer inputs must say.
    fn sample(&self, _sizes: &[usize], lengths: [usize; I], random: &mut Stream) -> Sample<I, K> {
        Sample { x: lengths.map(|n| random.normals(n)), k: std::array::from_fn(|_| vec![]) }
    }

    /// Which inputs may hold any number. The others are left alone where the checks plant ties, infinities,
    /// NaN and large scales.
    fn free(&self) -> [bool; I] {
        [true; I]
    }

    /// A direction in which the inputs may move. Standard normal if not said otherwise.
    fn direction(&self, x: [&[f64]; I], random: &mut Stream) -> [Vec<f64>; I] {
        x.map(|x| random.normals(x.len()))
    }
}

/// Inputs to test at: see [`Contract::sample`].
#[derive(Debug, Clone, PartialEq)]
pub struct Sample<const I: usize = 1, const K: usize = 0> {
    /// Real inputs.
    pub x: [Vec<f64>; I],
    /// Integer inputs.
    pub k: [Vec<i64>; K],
}

/// A property that holds for all inputs of the operators that claim it.
pub enum Law {
    /// The first output sums to this function of the sizes.
    SumsTo(Box<OfSizes<f64>>),
    /// The first output lies in this interval.
    Within(Box<OfSizes<(f64, f64)>>),
    /// The first output ascends along its last axis.
    Ascending,
    /// The first output descends along its last axis.
    Descending,
    /// `f(P x) = P f(x)` in the first input and output.
    PermutationEquivariant,
    /// `f(P x) = f(x)` in the first input and output.
    PermutationInvariant,
    /// `f(x + c) = f(x)` in the first input and output.
    ShiftInvariant,
    /// `f(x + c) = f(x) + c` in the first input and output.
    ShiftEquivariant,
    /// `f(−x) = g(f(x))` for this `g(value, sizes)` elementwise in the first input and output.
    Reversal(Box<Reversed>),
    /// −∞ in the first input takes an entry out: all that is put out and its derivatives stay finite, the entry
    /// gets no gradient, and where the first output has an entry for each of the input, its own is zero.
    Masks,
    /// A named quantity of inputs and outputs that is zero, such as a marginal less its histogram.
    Vanishes(&'static str, Box<Residual>),
}

/// A function of the sizes of the signature's symbols.
pub type OfSizes<R> = dyn Fn(&[usize]) -> R;

/// `(value, sizes) → value`: see [`Law::Reversal`].
pub type Reversed = dyn Fn(f64, &[usize]) -> f64;

/// What should vanish: see [`Law::Vanishes`].
pub type Residual = dyn Fn(Evaluated<'_>) -> f64;

/// One item with its outputs.
#[derive(Debug, Clone, Copy)]
pub struct Evaluated<'a> {
    /// Sizes of the signature's symbols.
    pub sizes: &'a [usize],
    /// Real inputs.
    pub x: &'a [&'a [f64]],
    /// Integer inputs.
    pub k: &'a [&'a [i64]],
    /// Outputs.
    pub y: &'a [&'a [f64]],
}

impl Law {
    /// The law's name, for tests and docs.
    pub fn name(&self) -> &'static str {
        match self {
            Law::SumsTo(_) => "sums_to",
            Law::Within(_) => "within",
            Law::Ascending => "ascending",
            Law::Descending => "descending",
            Law::PermutationEquivariant => "permutation_equivariant",
            Law::PermutationInvariant => "permutation_invariant",
            Law::ShiftInvariant => "shift_invariant",
            Law::ShiftEquivariant => "shift_equivariant",
            Law::Reversal(_) => "reversal",
            Law::Masks => "masks",
            Law::Vanishes(name, _) => name,
        }
    }
}
