//! Solutions whose convex combinations are searched.

use supple_numerics::factor::{add, dot};

/// Affinely independent vertices $v_0, \dots, v_r$ with weights, and an orthonormal basis of their
/// differences.
///
/// The differences $v_j - v_0$ are the columns of $Q R$.
pub(super) struct Corral {
    n: usize,
    /// One after another.
    vertices: Vec<f64>,
    pub weights: Vec<f64>,
    /// The columns of Q one after another.
    pub basis: Vec<f64>,
    /// The columns of R down to the diagonal.
    triangle: Vec<Vec<f64>>,
}

/// What is left of a difference outside the span of the others, as a share of it, below which it counts as
/// within.
const WITHIN: f64 = 1e-10;

impl Corral {
    pub fn new(vertex: Vec<f64>) -> Self {
        Self { n: vertex.len(), vertices: vertex, weights: vec![1.0], basis: vec![], triangle: vec![] }
    }

    pub fn first(&self) -> &[f64] {
        &self.vertices[..self.n]
    }

    /// Writes the combination of the vertices.
    pub fn point(&self, point: &mut [f64]) {
        point.fill(0.0);
        let vertices = self.vertices.chunks_exact(self.n.max(1));
        vertices.zip(&self.weights).for_each(|(vertex, &weight)| add(point, weight, vertex, |v| v));
    }

    /// Takes in a vertex with weight 0, unless it is in the span of the others: `false`.
    pub fn push(&mut self, vertex: &[f64]) -> bool {
        let mut rest: Vec<f64> = vertex.iter().zip(self.first()).map(|(v, first)| v - first).collect();
        let length = dot(&rest, &rest, |x| x).sqrt();
        let mut column = self.orthogonalize(&mut rest);
        let left = dot(&rest, &rest, |x| x).sqrt();
        // NaN is refused too.
        let outside = left > WITHIN * length;
        if !outside {
            return false;
        }
        column.push(left);
        self.triangle.push(column);
        self.basis.extend(rest.iter().map(|x| x / left));
        self.vertices.extend_from_slice(vertex);
        self.weights.push(0.0);
        true
    }

    /// Takes from `x` what is in the span, and returns its coordinates there. Twice, so that round-off of the
    /// first time is taken too.
    pub fn orthogonalize(&self, x: &mut [f64]) -> Vec<f64> {
        let mut coordinates = vec![0.0; self.triangle.len()];
        for _ in 0..2 {
            for (q, coordinate) in self.basis.chunks_exact(self.n.max(1)).zip(&mut coordinates) {
                let along = dot(q, x, |q| q);
                add(x, -along, q, |q| q);
                *coordinate += along;
            }
        }
        coordinates
    }

    /// The weights, which sum to one and may be negative, of the combination nearest to $v_0$ + `from_first`.
    pub fn nearest(&self, from_first: &[f64]) -> Vec<f64> {
        let basis = self.basis.chunks_exact(self.n.max(1));
        let mut weights: Vec<f64> =
            std::iter::once(1.0).chain(basis.map(|q| dot(q, from_first, |q| q))).collect();
        for (j, column) in self.triangle.iter().enumerate().rev() {
            weights[j + 1] /= column[j];
            let weight = weights[j + 1];
            add(&mut weights[1..=j], -weight, &column[..j], |x| x);
            weights[0] -= weight;
        }
        weights
    }

    /// Lets the vertices without weight go; `false` where that cannot be done.
    pub fn drop_idle(&mut self) -> bool {
        if self.weights[0] <= 0.0 {
            return self.start_again();
        }
        for vertex in (1..self.weights.len()).rev() {
            if self.weights[vertex] <= 0.0 {
                self.remove(vertex);
            }
        }
        true
    }

    /// Takes out a vertex other than the first. Without its column R has entries below the diagonal, which
    /// rotations of its rows remove.
    fn remove(&mut self, vertex: usize) {
        let n = self.n;
        self.vertices.drain(vertex * n..(vertex + 1) * n);
        self.weights.remove(vertex);
        self.triangle.remove(vertex - 1);
        for row in vertex - 1..self.triangle.len() {
            let [above, below] = [self.triangle[row][row], self.triangle[row][row + 1]];
            let length = (above * above + below * below).sqrt();
            let (cos, sin) = (above / length, below / length);
            let rotate = |x: &mut f64, y: &mut f64| (*x, *y) = (cos * *x + sin * *y, cos * *y - sin * *x);
            for column in &mut self.triangle[row..] {
                let (x, y) = column.split_at_mut(row + 1);
                rotate(&mut x[row], &mut y[0]);
            }
            self.triangle[row].truncate(row + 1);
            let (x, y) = self.basis[row * n..(row + 2) * n].split_at_mut(n);
            x.iter_mut().zip(y).for_each(|(x, y)| rotate(x, y));
        }
        self.basis.truncate(self.triangle.len() * n);
    }

    /// Without the first vertex and any other that has no weight, from the one with most.
    fn start_again(&mut self) -> bool {
        let Some(first) =
            (0..self.weights.len()).max_by(|&i, &j| self.weights[i].total_cmp(&self.weights[j]))
        else {
            return false;
        };
        let n = self.n;
        let all = std::mem::replace(self, Self::new(self.vertices[first * n..][..n].to_vec()));
        self.weights[0] = all.weights[first];
        all.vertices.chunks_exact(n).zip(all.weights).enumerate().all(|(i, (vertex, weight))| {
            if i == first || weight <= 0.0 {
                return true;
            }
            let pushed = self.push(vertex);
            self.weights.last_mut().into_iter().for_each(|last| *last = weight);
            pushed
        })
    }
}
