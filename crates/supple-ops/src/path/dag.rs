//! The edges of a directed graph without cycles, in an order in which a dynamic program can use them.

use std::ops::Range;
use supple_core::Fault;

/// Edges grouped by the node they enter, groups in topological order.
#[derive(Debug, Clone, Default)]
pub(super) struct Dag {
    groups: Vec<Group>,
    edges: Vec<Edge>,
}

/// A node and the places of the edges that enter it.
#[derive(Debug, Clone)]
pub(super) struct Group {
    pub node: usize,
    pub edges: Range<usize>,
}

/// An edge: its number in the input, and the node it leaves.
#[derive(Debug, Clone, Copy)]
pub(super) struct Edge {
    pub number: usize,
    pub from: usize,
}

impl Dag {
    /// Sorts the edges; refuses indices outside and cycles. Edges into one node keep their order.
    pub fn new(nodes: usize, from: &[i64], to: &[i64]) -> Result<Self, Fault> {
        Fault::check_indices("from", from, nodes)?;
        Fault::check_indices("to", to, nodes)?;
        let entering = By::new(nodes, to);
        let order = match from.iter().zip(to).all(|(from, to)| from < to) {
            true => (0..nodes).collect(),
            false => topological_order(nodes, from, to, &entering)?,
        };
        let mut this = Self { groups: Vec::with_capacity(nodes), edges: Vec::with_capacity(from.len()) };
        for node in order {
            let start = this.edges.len();
            let edges = entering.edges(node).iter();
            this.edges.extend(edges.map(|&number| Edge { number, from: from[number] as usize }));
            this.groups.push(Group { node, edges: start..this.edges.len() });
        }
        Ok(this)
    }

    /// The nodes in topological order with the edges that enter them.
    pub fn groups(&self) -> impl DoubleEndedIterator<Item = (&Group, &[Edge])> {
        self.groups.iter().map(|group| (group, &self.edges[group.edges.clone()]))
    }

    /// The number of edges.
    pub fn len(&self) -> usize {
        self.edges.len()
    }
}

/// Edge numbers grouped by one of their ends.
struct By {
    starts: Vec<usize>,
    edges: Vec<usize>,
}

impl By {
    fn new(nodes: usize, ends: &[i64]) -> Self {
        let mut starts = vec![0; nodes + 2];
        ends.iter().for_each(|&end| starts[end as usize + 2] += 1);
        (2..starts.len()).for_each(|i| starts[i] += starts[i - 1]);
        let mut edges = vec![0; ends.len()];
        for (number, &end) in ends.iter().enumerate() {
            let next = &mut starts[end as usize + 1];
            edges[*next] = number;
            *next += 1;
        }
        Self { starts, edges }
    }

    fn edges(&self, node: usize) -> &[usize] {
        &self.edges[self.starts[node]..self.starts[node + 1]]
    }
}

/// Kahn's algorithm.
fn topological_order(nodes: usize, from: &[i64], to: &[i64], entering: &By) -> Result<Vec<usize>, Fault> {
    let leaving = By::new(nodes, from);
    let mut waits: Vec<usize> = (0..nodes).map(|node| entering.edges(node).len()).collect();
    let mut order: Vec<usize> = (0..nodes).filter(|&node| waits[node] == 0).collect();
    let mut done = 0;
    while let Some(&node) = order.get(done) {
        done += 1;
        for &edge in leaving.edges(node) {
            let end = to[edge] as usize;
            waits[end] -= 1;
            if waits[end] == 0 {
                order.push(end);
            }
        }
    }
    match waits.iter().position(|&waits| waits > 0) {
        Some(node) => Err(Fault::Domain {
            argument: "to",
            requirement: "the ends of edges that form no cycle; a cycle leads to the node",
            value: node as f64,
        }),
        None => Ok(order),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_come_after_what_they_need() {
        let (from, to) = ([3, 0, 3, 2, 3], [0, 1, 1, 1, 2]);
        let dag = Dag::new(5, &from, &to).unwrap();
        let mut seen = vec![];
        for (group, edges) in dag.groups() {
            assert!(edges.iter().all(|e| seen.contains(&e.from) && to[e.number] == group.node as i64));
            assert!(edges.is_sorted_by_key(|e| e.number));
            seen.push(group.node);
        }
        assert_eq!((seen.len(), dag.len()), (5, 5));
    }

    #[test]
    fn refuses_cycles_and_bad_indices() {
        let message = |from: &[i64], to: &[i64]| Dag::new(3, from, to).unwrap_err().to_string();
        assert!(message(&[0, 1, 2], &[1, 2, 1]).contains("cycle"));
        assert!(message(&[1], &[1]).contains("cycle"));
        assert_eq!(message(&[0, 3], &[1, 1]), "`from` has 3 at position 1, which must be in 0..3");
        assert_eq!(message(&[0, 1], &[1, -1]), "`to` has -1 at position 1, which must be in 0..3");
    }
}
