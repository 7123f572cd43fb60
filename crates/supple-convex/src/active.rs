//! The optimality conditions on the active set: a linear system whose coefficients are the data.

use crate::dense::{add_product, add_transposed, rows};
use crate::kkt::Kkt;
use crate::polish::Solution;
use crate::problem::Problem;
use supple_core::{Real, Scratch};
use supple_numerics::factor::{add, dot};

/// $$\begin{pmatrix} Q & C^\top \cr C & 0 \end{pmatrix} \begin{pmatrix} z \cr \mu \end{pmatrix} =
/// \begin{pmatrix} -q \cr d \end{pmatrix}$$ with the rows of A and the active rows of G in C, b and the
/// active entries of h in d, and their multipliers in μ; factored in plain numbers.
///
/// The factor carries no tangents and needs none: one step of iterative refinement, with the residual in
/// `T`, makes both the values and the tangents of a solution right.
#[derive(Debug, Clone, Default)]
pub struct Active {
    set: Vec<u32>,
    kkt: Kkt,
    /// Units of z and of the objective, and sizes of the rows of C, in which the system was factored.
    z: f64,
    objective: f64,
    rows: Vec<f64>,
}

/// A vector of the system: n entries, then one for each row of C.
pub struct Pair<A> {
    /// For z, or for the conditions of stationarity.
    pub top: Vec<A>,
    /// For the multipliers, or for the constraints.
    pub bottom: Vec<A>,
}

impl Active {
    /// Keeps what derivatives need of a solution.
    pub fn new(problem: &Problem, solution: Solution) -> Self {
        let scale = &problem.scale;
        let active = || solution.active.iter().map(|&i| i as usize);
        Self {
            set: active().map(|i| problem.kept[i]).collect(),
            rows: scale.a.iter().copied().chain(active().map(|i| scale.g[i])).collect(),
            z: scale.z,
            objective: scale.objective,
            kkt: solution.kkt,
        }
    }

    /// The solution in the units of the data.
    pub fn unscale(problem: &Problem, solution: &Solution) -> Pair<f64> {
        let scale = &problem.scale;
        let active = solution.active.iter().map(|&i| &scale.g[i as usize]);
        let sizes = scale.a.iter().chain(active);
        let unit = scale.objective / scale.z;
        Pair {
            top: solution.z.iter().map(|z| z * scale.z).collect(),
            bottom: solution.multipliers.iter().zip(sizes).map(|(x, size)| x * (unit / size)).collect(),
        }
    }

    /// (top, multipliers of the equalities and of the active inequalities) from full vectors.
    pub fn gather<T: Real>(&self, [z, lambda, nu]: [&[T]; 3], scratch: &mut Scratch<T>) -> Pair<T::Acc> {
        let (mut top, mut bottom) = (scratch.wide.empty(), scratch.wide.empty());
        top.extend(z.iter().map(|x| x.widen()));
        bottom.extend(nu.iter().map(|x| x.widen()));
        bottom.extend(self.set.iter().map(|&i| lambda[i as usize].widen()));
        Pair { top, bottom }
    }

    /// The inverse of [`gather`](Self::gather); what belongs to inactive inequalities is left alone.
    pub fn scatter<T: Real>(&self, x: &Pair<T::Acc>, [z, lambda, nu]: [&mut [T]; 3]) {
        z.iter_mut().zip(&x.top).for_each(|(z, &x)| *z = T::narrow(x));
        let (equalities, inequalities) = x.bottom.split_at(nu.len());
        nu.iter_mut().zip(equalities).for_each(|(nu, &x)| *nu = T::narrow(x));
        self.set.iter().zip(inequalities).for_each(|(&i, &x)| lambda[i as usize] = T::narrow(x));
    }

    /// Improves a solution for this right-hand side by one step of refinement with the data in `T`.
    ///
    /// At duals this is Newton's step that gives the tangents.
    pub fn refine<T: Real>(
        &self,
        data: [&[T]; 6],
        right: [&[T]; 3],
        x: &mut Pair<T::Acc>,
        scratch: &mut Scratch<T>,
    ) {
        let [q, _, g, _, a, b] = data;
        let n = x.top.len();
        let mut r = self.gather(right, scratch);
        // r − K x, with the signs of x turned so that everything adds up.
        x.top.iter_mut().chain(&mut x.bottom).for_each(|x| *x = -*x);
        let half = T::Acc::of(0.5);
        for (i, row) in rows(q, n).enumerate() {
            let z = half * x.top[i];
            add(&mut r.top, z, row, T::widen);
            r.top[i] += half * dot(row, &x.top, T::widen);
        }
        let (equalities, inequalities) = x.bottom.split_at(b.len());
        add_transposed(&mut r.top, a, equalities, T::widen);
        add_product(&mut r.bottom, a, &x.top, T::widen);
        for ((&i, &mu), r_i) in self.set.iter().zip(inequalities).zip(&mut r.bottom[b.len()..]) {
            let row = &g[i as usize * n..(i as usize + 1) * n];
            add(&mut r.top, mu, row, T::widen);
            *r_i += dot(row, &x.top, T::widen);
        }
        self.solve(&mut r);
        for (x, &r) in x.top.iter_mut().chain(&mut x.bottom).zip(r.top.iter().chain(&r.bottom)) {
            *x = r - *x;
        }
        r.give(scratch);
    }

    /// Solves with the factor.
    pub fn solve<A: Real>(&self, x: &mut Pair<A>) {
        let (z, objective) = (A::of(self.z), A::of(self.objective));
        x.top.iter_mut().for_each(|x| *x *= z / objective);
        x.bottom.iter_mut().zip(&self.rows).for_each(|(x, &row)| *x /= A::of(row) * z);
        self.kkt.solve(&mut x.top, &mut x.bottom);
        x.top.iter_mut().for_each(|x| *x *= z);
        x.bottom.iter_mut().zip(&self.rows).for_each(|(x, &row)| *x *= objective / (A::of(row) * z));
    }

    /// Adds up the gradients from the adjoint solution `u` at the solution `x`.
    pub fn pull<T: Real>(&self, x: &Pair<T::Acc>, u: &Pair<T::Acc>, dx: [&mut [T]; 6]) {
        let [dq_matrix, dq, dg, dh, da, db] = dx;
        let n = x.top.len();
        let half = T::Acc::of(-0.5);
        for (i, row) in dq_matrix.chunks_exact_mut(n.max(1)).enumerate() {
            outer(row, (half * u.top[i], &x.top), (half * x.top[i], &u.top));
        }
        dq.iter_mut().zip(&u.top).for_each(|(dq, &u)| *dq = T::narrow(-u));
        let constraint = |row: &mut [T], d: &mut T, k: usize| {
            outer(row, (-x.bottom[k], &u.top), (-u.bottom[k], &x.top));
            *d = T::narrow(u.bottom[k]);
        };
        for (k, (row, db)) in da.chunks_exact_mut(n.max(1)).zip(db.iter_mut()).enumerate() {
            constraint(row, db, k);
        }
        for (k, &i) in self.set.iter().enumerate() {
            let i = i as usize;
            constraint(&mut dg[i * n..(i + 1) * n], &mut dh[i], db.len() + k);
        }
    }
}

impl<A: Real> Pair<A> {
    /// Entry by entry into another type.
    pub fn map<B: Real>(&self, f: impl Fn(A) -> B + Copy) -> Pair<B> {
        Pair {
            top: self.top.iter().map(|&x| f(x)).collect(),
            bottom: self.bottom.iter().map(|&x| f(x)).collect(),
        }
    }

    /// Gives the buffers back.
    pub fn give<T: Real<Acc = A>>(self, scratch: &mut Scratch<T>) {
        scratch.wide.give(self.top);
        scratch.wide.give(self.bottom);
    }
}

/// `row = a x + b y`.
fn outer<T: Real>(row: &mut [T], (a, x): (T::Acc, &[T::Acc]), (b, y): (T::Acc, &[T::Acc])) {
    row.iter_mut().zip(x.iter().zip(y)).for_each(|(row, (&x, &y))| *row = T::narrow(a * x + b * y));
}
