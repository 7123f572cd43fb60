//! From shapes to places in memory: what the engine knows before it runs a kernel.

use crate::error::{Error, Shape};
use crate::inputs::Options;
use crate::shapes::{axis_from_end, broadcast, moved, table};
use crate::signature::{Argument, Signature, Symbol};
use ndarray::{ArrayD, ArrayViewD, CowArray, IxDyn};
use std::ops::Range;

/// Elements per item of an elementwise operator: small enough to stay in the first-level cache.
const BLOCK: usize = 2048;

/// Sizes, batch and the place of every argument.
#[derive(Debug)]
pub(crate) struct Plan {
    pub signature: &'static Signature,
    pub batch: Vec<usize>,
    pub items: usize,
    sizes: Vec<usize>,
    /// Symbols whose size differs from item to item, with the size for each item.
    ragged: Vec<(usize, Vec<usize>)>,
    /// Distance of the core axis from the end, where it is not the last.
    axis: Option<usize>,
    pub x: Vec<Slot>,
    pub k: Vec<Slot>,
    pub y: Vec<Slot>,
}

/// One argument: its full shape with the core axes last, and where each item lies.
#[derive(Debug)]
pub(crate) struct Slot {
    pub shape: Vec<usize>,
    core: Vec<usize>,
    /// Elements of one full item.
    pub len: usize,
    source: Source,
    ragged: bool,
}

/// Which of an argument's items serves an item of the batch.
#[derive(Debug)]
enum Source {
    Same,
    One,
    Table(Vec<usize>),
}

/// Where an item lies in the memory of an argument.
pub(crate) enum Place {
    /// In one piece.
    Piece(Range<usize>),
    /// As rows `(from, to, length)`: offset in memory, offset in the item, elements.
    Rows(Vec<(usize, usize, usize)>, usize),
}

impl Plan {
    pub fn new(
        operator: &str,
        signature: &'static Signature,
        x: &[&[usize]],
        k: &[&[usize]],
        options: &Options,
        size: &dyn Fn(&str) -> Option<usize>,
        validate: &dyn Fn(&[usize]) -> Result<(), Error>,
    ) -> Result<Self, Error> {
        let axis = axis_from_end(operator, signature, x, options.axis)?;
        let arguments = || {
            let x = signature.inputs.iter().zip(x);
            x.chain(signature.indices.iter().zip(k))
        };
        let moved: Vec<Vec<usize>> = match signature.elementwise {
            true => x.iter().map(|shape| shape.to_vec()).collect(),
            false => {
                arguments().map(|(a, shape)| moved(operator, a, shape, axis)).collect::<Result<_, _>>()?
            }
        };
        let mut this = Self {
            signature,
            batch: vec![],
            items: 0,
            sizes: vec![0; signature.symbols.len()],
            ragged: vec![],
            axis,
            x: vec![],
            k: vec![],
            y: vec![],
        };
        if signature.elementwise {
            this.elementwise(operator, &moved)?;
        } else {
            this.bind(operator, arguments().map(|(argument, _)| argument), &moved, size)?;
        }
        // Before sizes are multiplied: those that only outputs have are the operator's word.
        validate(&this.sizes)?;
        this.ragged(operator, options)?;
        let slots = arguments().zip(&moved).map(|((argument, _), shape)| this.slot(argument, shape));
        let mut slots: Vec<Slot> = slots.collect();
        this.k = slots.split_off(x.len());
        this.x = slots;
        this.y = signature.outputs.iter().map(|output| this.slot(output, &this.full(output))).collect();
        Ok(this)
    }

    /// Every array is broadcast to one shape, which is cut into blocks.
    fn elementwise(&mut self, operator: &str, shapes: &[Vec<usize>]) -> Result<(), Error> {
        self.batch = vec![];
        for (argument, shape) in self.signature.inputs.iter().zip(shapes) {
            self.batch = broadcast(&self.batch, shape).ok_or_else(|| {
                let requirement = format!("broadcastable to {}", Shape(&self.batch));
                Error::argument(operator, argument.name, requirement, Shape(shape))
            })?;
        }
        self.items = self.batch.iter().product::<usize>().div_ceil(BLOCK);
        self.sizes = vec![BLOCK];
        Ok(())
    }

    /// Gives every symbol its size and finds the batch shape.
    fn bind<'s>(
        &mut self,
        operator: &str,
        arguments: impl Iterator<Item = &'s Argument>,
        shapes: &[Vec<usize>],
        size: &dyn Fn(&str) -> Option<usize>,
    ) -> Result<(), Error> {
        let symbols = &self.signature.symbols;
        let mut bound: Vec<Option<usize>> = vec![None; symbols.len()];
        for (argument, shape) in arguments.zip(shapes) {
            let (batch, core) = shape.split_at(shape.len() - argument.core.len());
            for (&symbol, &n) in argument.core.iter().zip(core) {
                let Symbol { name, least } = symbols[symbol].clone();
                let refuse =
                    |requirement| Err(Error::argument(operator, argument.name, requirement, Shape(shape)));
                match bound[symbol] {
                    _ if n < least => return refuse(format!("an array with {name} >= {least}")),
                    Some(m) if m != n => return refuse(format!("an array with {name} = {m}")),
                    _ => bound[symbol] = Some(n),
                }
            }
            self.batch = broadcast(&self.batch, batch).ok_or_else(|| {
                let requirement = format!("broadcastable to batch {}", Shape(&self.batch));
                Error::argument(operator, argument.name, requirement, Shape(shape))
            })?;
        }
        self.items = self.batch.iter().product();
        for ((bound, sized), symbol) in bound.iter().zip(&mut self.sizes).zip(symbols) {
            *sized = bound.or_else(|| size(symbol.name)).ok_or_else(|| {
                Error::argument(operator, "SIGNATURE", "one whose outputs have known sizes", symbol.name)
            })?;
        }
        Ok(())
    }

    fn ragged(&mut self, operator: &str, options: &Options) -> Result<(), Error> {
        for (name, lengths) in &options.lengths {
            let argument = format!("lengths of {name}");
            let Signature { inputs, indices, symbols, elementwise, .. } = self.signature;
            // What only outputs have is as large as the operator says.
            let of_inputs = |s: usize| inputs.iter().chain(indices).any(|a| a.core.contains(&s));
            let symbol = self.signature.symbol(name).filter(|&s| of_inputs(s) && !elementwise);
            let Some(symbol) = symbol else {
                let names = (0..symbols.len()).filter(|&s| of_inputs(s)).map(|s| symbols[s].name);
                let requirement = format!("for one of the sizes {}", names.collect::<Vec<_>>().join(", "));
                return Err(Error::argument(operator, "lengths", requirement, name));
            };
            let Some(each) = lengths.broadcast(IxDyn(&self.batch)) else {
                let requirement = format!("broadcastable to batch {}", Shape(&self.batch));
                return Err(Error::argument(operator, argument, requirement, Shape(lengths.shape())));
            };
            let (least, most) = (symbols[symbol].least, self.sizes[symbol]);
            if let Some(bad) = each.iter().find(|&&n| n < least || n > most) {
                return Err(Error::argument(operator, argument, format!("in {least}..={most}"), bad));
            }
            self.ragged.push((symbol, each.iter().copied().collect()));
        }
        Ok(())
    }

    /// The shape of an argument that has every batch axis.
    fn full(&self, argument: &Argument) -> Vec<usize> {
        match self.signature.elementwise {
            true => self.batch.clone(),
            false => self.batch.iter().copied().chain(argument.core.iter().map(|&s| self.sizes[s])).collect(),
        }
    }

    fn slot(&self, argument: &Argument, shape: &[usize]) -> Slot {
        let own = &shape[..shape.len() - if self.signature.elementwise { 0 } else { argument.core.len() }];
        let source = if own == self.batch || self.signature.elementwise {
            Source::Same
        } else if own.iter().product::<usize>() == 1 {
            Source::One
        } else {
            Source::Table(table(own, &self.batch))
        };
        Slot {
            shape: shape.to_vec(),
            len: argument.core.iter().map(|&s| self.sizes[s]).product(),
            core: argument.core.clone(),
            source,
            ragged: self.ragged.iter().any(|(symbol, _)| argument.core.contains(symbol)),
        }
    }

    /// The symbols' sizes, the largest where they differ from item to item.
    pub fn sizes(&self) -> &[usize] {
        &self.sizes
    }

    /// Writes the symbols' sizes in one item.
    pub fn sizes_of(&self, item: usize, sizes: &mut Vec<usize>) {
        sizes.clear();
        sizes.extend_from_slice(&self.sizes);
        for (symbol, each) in &self.ragged {
            sizes[*symbol] = each[item];
        }
        if self.signature.elementwise && item + 1 == self.items {
            sizes[0] = self.batch.iter().product::<usize>() - item * BLOCK;
        }
    }

    /// Whether items differ in size.
    pub fn is_ragged(&self) -> bool {
        !self.ragged.is_empty()
    }

    /// An argument with the core axis last, broadcast if elementwise, in standard layout.
    pub fn lay<'a, T: Clone>(&self, mut array: ArrayViewD<'a, T>, core: usize) -> CowArray<'a, T, IxDyn> {
        if let (Some(axis), 1) = (self.axis, core) {
            let last = array.ndim() - 1;
            for i in array.ndim() - axis..last {
                array.swap_axes(i, i + 1);
            }
        }
        if self.signature.elementwise && array.shape() != self.batch {
            let full = array.broadcast(IxDyn(&self.batch)).expect("checked when planned");
            return CowArray::from(full.as_standard_layout().into_owned());
        }
        if array.is_standard_layout() {
            CowArray::from(array)
        } else {
            CowArray::from(array.as_standard_layout().into_owned())
        }
    }

    /// [`lay`](Self::lay) for several arguments.
    pub fn lay_all<'a, T: Clone, const N: usize>(
        &self,
        arrays: [ArrayViewD<'a, T>; N],
        slots: &[Slot],
    ) -> [CowArray<'a, T, IxDyn>; N] {
        let mut slots = slots.iter();
        arrays.map(|array| self.lay(array, slots.next().map_or(0, Slot::core_rank)))
    }

    /// The way back from [`lay`](Self::lay): puts the core axis where the caller has it.
    pub fn restore<T>(&self, mut array: ArrayD<T>, core: usize) -> ArrayD<T> {
        if let (Some(axis), 1) = (self.axis, core) {
            let first = array.ndim() - axis;
            for i in (first..array.ndim() - 1).rev() {
                array.swap_axes(i, i + 1);
            }
        }
        array
    }

    /// The shape of an argument as the caller sees it.
    pub fn outer_shape(&self, slot: &Slot) -> Vec<usize> {
        let mut shape = slot.shape.clone();
        if let (Some(axis), 1) = (self.axis, slot.core.len()) {
            let n = shape.pop().unwrap_or(0);
            shape.insert(shape.len() + 1 - axis, n);
        }
        shape
    }

    /// Elements that one item reads and writes.
    pub fn elements(&self) -> usize {
        self.x.iter().chain(&self.y).map(|slot| slot.len).sum()
    }

    /// Whether an input serves several items, so that its gradient is a sum.
    pub fn is_shared(&self, slot: &Slot) -> bool {
        !matches!(slot.source, Source::Same) || self.signature.elementwise && slot.shape != self.batch
    }

    /// The number of elements of a slot that has one item for each of the batch.
    pub fn full_len(&self, slot: &Slot) -> usize {
        if self.signature.elementwise { self.batch.iter().product() } else { self.items * slot.len }
    }

    /// For each unit of the batch (an item, an element if elementwise), the unit of the shared input
    /// it came from, and the number of elements of a unit.
    pub fn origins(&self, slot: &Slot) -> (Vec<usize>, usize) {
        if self.signature.elementwise {
            return (table(&slot.shape, &self.batch), 1);
        }
        let from = match &slot.source {
            Source::Same => (0..self.items).collect(),
            Source::One => vec![0; self.items],
            Source::Table(table) => table.clone(),
        };
        (from, slot.len)
    }
}

impl Slot {
    pub fn core_rank(&self) -> usize {
        self.core.len()
    }

    /// Where the item lies in an argument that has its own batch shape.
    pub fn place(&self, item: usize, sizes: &[usize], full: &[usize]) -> Place {
        let unit = match &self.source {
            Source::Same => item,
            Source::One => 0,
            Source::Table(table) => table[item],
        };
        self.place_of(unit, sizes, full)
    }

    /// Where the item lies in an array with the full batch shape.
    pub fn place_of(&self, unit: usize, sizes: &[usize], full: &[usize]) -> Place {
        let start = unit * self.len;
        if !self.ragged {
            // The last block of an elementwise operator is shorter.
            let len = if self.core.len() == 1 { sizes[self.core[0]] } else { self.len };
            return Place::Piece(start..start + len);
        }
        let len: usize = self.core.iter().map(|&s| sizes[s]).product();
        let whole_rows = self.core.iter().skip(1).all(|&s| sizes[s] == full[s]);
        if whole_rows || len == 0 {
            return Place::Piece(start..start + len);
        }
        let row = sizes[self.core[self.core.len() - 1]];
        let outer = &self.core[..self.core.len() - 1];
        let rows = (0..len / row).map(|r| {
            let (mut rest, mut offset, mut stride) = (r, 0, full[self.core[self.core.len() - 1]]);
            for &s in outer.iter().rev() {
                offset += rest % sizes[s] * stride;
                rest /= sizes[s];
                stride *= full[s];
            }
            (start + offset, r * row, row)
        });
        Place::Rows(rows.collect(), len)
    }
}
