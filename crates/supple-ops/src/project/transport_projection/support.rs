//! Where a plan has mass, and linear systems on that.

use supple_core::Real;
use supple_numerics::bipartite::Laplacian;

/// Which entries of a matrix are joined, by row.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Edges {
    ends: Vec<u32>,
    columns: Vec<u32>,
}

impl Edges {
    /// The entries of an `n` columns wide matrix for which `joined(row, column, entry)`.
    pub fn of(z: &[f64], n: usize, mut joined: impl FnMut(usize, usize, f64) -> bool) -> Self {
        let mut this = Self::default();
        for (i, row) in z.chunks_exact(n.max(1)).enumerate() {
            let kept = (0..).zip(row).filter(|&(j, &z)| joined(i, j as usize, z));
            this.columns.extend(kept.map(|(j, _)| j));
            this.ends.push(this.columns.len() as u32);
        }
        this
    }

    /// Rows that are joined to nothing.
    pub fn empty(rows: usize) -> Self {
        Self { ends: vec![0; rows], columns: vec![] }
    }

    pub fn rows(&self) -> impl Iterator<Item = &[u32]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.columns[start as usize..end as usize])
    }

    /// Each edge with its row and column.
    pub fn iter(&self) -> impl Iterator<Item = (usize, usize)> {
        self.rows().enumerate().flat_map(|(i, row)| row.iter().map(move |&j| (i, j as usize)))
    }

    /// Solves $r_i \lambda_i + \sum_j \mu_j = \rho_i$, $\sum_i \lambda_i + c_j \mu_j = \kappa_j$ over the
    /// edges, with counts $r, c$ of edges that the `ground` is added to, given their factor. $\lambda$ takes
    /// the place of `rho` and $\mu$ that of `kappa`.
    pub fn solve<A: Real>(&self, factor: &Laplacian, ground: f64, rho: &mut [A], kappa: &mut Vec<A>) {
        let counts = |row: &[u32]| A::of(row.len() as f64 + ground);
        for (row, &rho) in self.rows().zip(&*rho) {
            let each = rho / counts(row);
            row.iter().for_each(|&j| kappa[j as usize] -= each);
        }
        kappa.push(A::zero());
        factor.solve(kappa);
        kappa.pop();
        for (row, rho) in self.rows().zip(rho) {
            let others: A = row.iter().map(|&j| kappa[j as usize]).sum();
            *rho = if row.is_empty() { A::zero() } else { (*rho - others) / counts(row) };
        }
    }
}

/// The support of a plan: what the derivatives need.
///
/// Of the two histograms, the longer is along the rows. All of it is values.
#[derive(Debug, Clone, Default)]
pub struct Support {
    edges: Edges,
    factor: Laplacian,
    /// The component of each row and then of each column.
    component: Vec<u32>,
    /// How many nodes each has.
    nodes: Vec<u32>,
    swapped: bool,
    width: usize,
}

impl Support {
    /// `n` is the number of columns of `edges`, `width` that of the plan.
    pub fn new(edges: Edges, n: usize, swapped: bool, width: usize) -> Self {
        let factor = Laplacian::of_edges(n, edges.rows(), 0.0);
        let (component, nodes) = components(&edges, n);
        Self { edges, factor, component, nodes, swapped, width }
    }

    /// Whether there is none, because of a NaN.
    pub fn is_spoilt(&self) -> bool {
        self.component.is_empty()
    }

    /// Whether the rows are the columns of the plan.
    pub fn is_swapped(&self) -> bool {
        self.swapped
    }

    /// Each edge with its row and column.
    pub fn edges(&self) -> impl Iterator<Item = (usize, usize)> {
        self.edges.iter()
    }

    /// Positions of the edges in the plan.
    pub fn offsets(&self) -> impl Iterator<Item = usize> {
        let place = |(i, j)| if self.swapped { j * self.width + i } else { i * self.width + j };
        self.edges.iter().map(place)
    }

    /// Sums over the rows and columns of what the edges have.
    pub fn sums<A: Real>(&self, of_edges: &[A]) -> (Vec<A>, Vec<A>) {
        let rows = self.edges.ends.len();
        let (mut rho, mut kappa) = (vec![A::zero(); rows], vec![A::zero(); self.component.len() - rows]);
        for ((i, j), &g) in self.edges.iter().zip(of_edges) {
            rho[i] += g;
            kappa[j] += g;
        }
        (rho, kappa)
    }

    /// [`Edges::solve`] after [`balance`](Self::balance).
    pub fn solve<A: Real>(&self, rho: &mut [A], kappa: &mut Vec<A>) {
        self.balance(rho, kappa);
        self.edges.solve(&self.factor, 0.0, rho, kappa);
    }

    /// Makes the sums over the rows and the columns of each component equal: takes away what a plan on this
    /// support cannot follow. As it moves potentials along a component, it also picks the potentials that are
    /// directions in which the histograms may move.
    pub fn balance<A: Real>(&self, rows: &mut [A], columns: &mut [A]) {
        let mut excess = vec![A::zero(); self.nodes.len()];
        let (of_rows, of_columns) = self.component.split_at(rows.len());
        of_rows.iter().zip(&*rows).for_each(|(&c, &x)| excess[c as usize] += x);
        of_columns.iter().zip(&*columns).for_each(|(&c, &x)| excess[c as usize] -= x);
        excess.iter_mut().zip(&self.nodes).for_each(|(x, &n)| *x /= A::of(n.into()));
        of_rows.iter().zip(rows).for_each(|(&c, x)| *x -= excess[c as usize]);
        of_columns.iter().zip(columns).for_each(|(&c, x)| *x += excess[c as usize]);
    }
}

/// The component of each node, rows before columns, and the number of nodes of each component.
fn components(edges: &Edges, n: usize) -> (Vec<u32>, Vec<u32>) {
    let rows = edges.ends.len();
    let mut parent: Vec<u32> = (0..(rows + n) as u32).collect();
    fn root(parent: &mut [u32], mut i: u32) -> u32 {
        while parent[i as usize] != i {
            parent[i as usize] = parent[parent[i as usize] as usize];
            i = parent[i as usize];
        }
        i
    }
    for (i, j) in edges.iter() {
        let (a, b) = (root(&mut parent, i as u32), root(&mut parent, (rows + j) as u32));
        parent[a.max(b) as usize] = a.min(b);
    }
    let (mut component, mut nodes) = (vec![0; parent.len()], vec![]);
    for i in 0..parent.len() as u32 {
        // A root comes before the others of its component.
        let root = root(&mut parent, i);
        if root == i {
            component[i as usize] = nodes.len() as u32;
            nodes.push(0);
        } else {
            component[i as usize] = component[root as usize];
        }
        nodes[component[i as usize] as usize] += 1;
    }
    (component, nodes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systems_on_a_graph_of_several_components() {
        // Two components, and a row that is joined to nothing.
        let z = [1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0];
        let edges = Edges::of(&z, 3, |_, _, z| z > 0.0);
        let support = Support::new(edges.clone(), 3, false, 3);
        assert_eq!(support.component, [0, 1, 2, 0, 0, 1, 0]);
        assert_eq!(support.nodes, [4, 2, 1]);
        assert_eq!(support.offsets().collect::<Vec<_>>(), [0, 2, 4, 9]);
        let (mut rho, mut kappa) = (vec![3.0, 2.0, 0.0, -1.0], vec![0.5, 2.0, 1.5]);
        let (rho_before, kappa_before) = (rho.clone(), kappa.clone());
        support.solve(&mut rho, &mut kappa);
        let sums: Vec<f64> = edges.iter().map(|(i, j)| rho[i] + kappa[j]).collect();
        let (rows, columns) = support.sums(&sums);
        let close = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-14);
        assert!(close(&rows, &rho_before) && close(&columns, &kappa_before), "{rows:?} {columns:?}");
        let (mut rho, mut kappa) = (vec![4.0, 1.0, 5.0, 0.0], vec![0.0, 0.0, 0.0]);
        support.balance(&mut rho, &mut kappa);
        assert_eq!((rho, kappa), (vec![3.0, 0.5, 0.0, -1.0], vec![1.0, 0.5, 1.0]));
    }
}
